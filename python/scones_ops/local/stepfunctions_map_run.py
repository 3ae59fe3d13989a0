"""The child executions of a Map run: who they are, how they ended, and how many may fail."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.stepfunctions.parser.api import MapRunStatus
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor.map_run_record import (  # noqa: E501
    MapRunRecord,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.job import Job, JobPool
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

KEPT_RUNS = 200


@dataclass
class Child:
    """One child execution. Times are UTC; input and output are JSON values."""

    index: int
    name: str
    arn: str
    machine_arn: str
    input: Any
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    stopped_at: datetime | None = None
    status: str = "RUNNING"
    output: Any = None
    error: str | None = None
    cause: str | None = None

    def end(
        self, status: str, *, output: Any = None, error: str | None = None, cause: str | None = None
    ) -> None:
        """Record how the child ended; one that was aborted with its run stays so, whatever it does still."""
        if self.stopped_at is not None:
            return
        self.status, self.output, self.error, self.cause = status, output, error, cause
        self.stopped_at = datetime.now(UTC)

    def context(self, role_arn: str) -> dict[str, Any]:
        """Return `$$.Execution` as the child sees it."""
        return {
            "Id": self.arn,
            "Input": self.input,
            "Name": self.name,
            "RoleArn": role_arn,
            "StartTime": timestamp(self.started_at),
        }

    def description(self) -> dict[str, Any]:
        """Return the child as DescribeExecution answers it, and ListExecutions in part."""
        described = {
            "executionArn": self.arn,
            "stateMachineArn": self.machine_arn,
            "name": self.name,
            "status": self.status,
            "startDate": self.started_at,
            "stopDate": self.stopped_at,
            "input": to_json_str(self.input),
            "inputDetails": {"included": True},
            "error": self.error,
            "cause": self.cause,
        }
        if self.status == "SUCCEEDED":
            described |= {"output": to_json_str(self.output), "outputDetails": {"included": True}}
        return {name: value for name, value in described.items() if value is not None}


class MapRun:
    """One run of a Map state. Its counters are moto's, which DescribeMapRun answers from."""

    def __init__(self, record: MapRunRecord) -> None:
        self.record = record
        self.arn: str = record.map_run_arn
        self.machine_arn: str = record.map_state_machine_arn
        self.children: dict[int, Child] = {}
        self.pending: list[Any] = []
        self._waiting: list[Job] = []
        self._total = 0
        self._failed = 0
        self._lock = threading.Lock()

    def expect(self, jobs: JobPool) -> None:
        """Take note of how many items there are and of those that wait; only the first call counts."""
        total = jobs._jobs_number
        with self._lock:
            if self._total:
                return
            self._total, self._waiting = total, jobs._open_jobs
        for counter in self._counters():
            counter.total.count(total)
            counter.pending.count(total)

    def begin(self, index: int, item: Any) -> Child:
        """Return the child execution that processes `item`."""
        name = str(uuid.uuid4())
        arn = self.machine_arn.replace(":stateMachine:", ":execution:") + f":{name}"
        child = Child(index, name, arn, self.machine_arn, item)
        with self._lock:
            self.children[index] = child
            for counter in self._counters():
                counter.pending.offset(-1)
                counter.running.count()
        return child

    def ended(self, child: Child) -> None:
        """Count how the child ended."""
        field_name = {"SUCCEEDED": "succeeded", "TIMED_OUT": "timed_out", "ABORTED": "aborted"}
        for counter in self._counters():
            counter.running.offset(-1)
            getattr(counter, field_name.get(child.status, "failed")).count()
            if child.status == "SUCCEEDED":
                counter.results_written.count()
        if child.status in ("FAILED", "TIMED_OUT"):
            with self._lock:
                self._failed += 1

    def is_over_tolerance(self) -> bool:
        """Return whether more children have failed than the state tolerates: none, if it says nothing."""
        count, share = self.record.tolerated_failure_count, self.record.tolerated_failure_percentage
        with self._lock:
            failed = self._failed
        if not count and not share:
            return failed > 0
        return bool(count and failed > count) or bool(share and failed * 100 > share * self._total)

    def give_up_rest(self) -> None:
        """Abort what still runs and keep the items that never began as `pending`: the run has ended."""
        with self._lock:
            self.pending = [job.job_input for job in reversed(self._waiting)]
            self._waiting = []
            for child in self.children.values():
                child.end("ABORTED")
            for counter in self._counters():
                left = counter.pending.get()
                if left > 0:
                    counter.pending.offset(-left)
                    counter.aborted.count(left)

    def _counters(self) -> tuple[Any, Any]:
        return self.record.item_counter, self.record.execution_counter


class _Runs(OrderedDict[str, MapRun]):
    """The latest Map runs by ARN, and all that have not ended."""

    def __setitem__(self, arn: str, run: MapRun) -> None:
        super().__setitem__(arn, run)
        ended = (known for known, kept in list(self.items()) if kept.record.stop_date is not None)
        while len(self) > KEPT_RUNS:
            oldest = next(ended, None)
            if oldest is None:
                return
            self.pop(oldest, None)


RUNS = _Runs()


def abort_runs(execution_arn: str) -> None:
    """End the runs of an execution that has ended itself: stopped, timed out, or failed in another branch."""
    for run in list(RUNS.values()):
        if run.record.execution_arn == execution_arn and run.record.stop_date is None:
            run.record.set_stop(MapRunStatus.ABORTED)


def find_child(execution_arn: str) -> Child | None:
    """Return the child execution of that ARN, if its run is still kept."""
    machine_arn = execution_arn.rsplit(":", 1)[0].replace(":execution:", ":stateMachine:")
    for run in list(RUNS.values()):
        if run.machine_arn == machine_arn:
            for child in list(run.children.values()):
                if child.arn == execution_arn:
                    return child
    return None


def timestamp(moment: datetime) -> str:
    """Return the time as Step Functions writes it: `2026-01-31T12:00:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
