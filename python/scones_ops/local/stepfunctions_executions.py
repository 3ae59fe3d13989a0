"""All executions by ARN: found at once, and bounded, so that a long session does not fill the memory.

AWS keeps an execution 90 days. Here the latest stay, and of these only the newest keep their event history,
which holds the input and output of every state.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from moto.stepfunctions.parser.api import ExecutionStatus

from scones_ops.local.stepfunctions_map_run import abort_runs

KEPT_EXECUTIONS = 20_000
KEPT_HISTORY_BYTES = 256 * 1024 * 1024
# What moto holds for an event besides its texts: dicts, and its share of the frames and variables behind it.
EVENT_BYTES = 1500


class Executions:
    """The executions of all state machines. Safe to use from many threads."""

    def __init__(self) -> None:
        self._by_arn: OrderedDict[str, tuple[Any, Any]] = OrderedDict()
        # Bytes of the histories that are kept, oldest first: for executions of the index only.
        self._histories: OrderedDict[str, int] = OrderedDict()
        self._history_bytes = 0
        self._lock = threading.Lock()

    def add(self, execution: Any, machine: Any) -> None:
        """Keep a started execution of `machine`; the oldest finished ones go if there are too many."""
        with self._lock:
            self._by_arn[execution.exec_arn] = (execution, machine)
            while len(self._by_arn) > KEPT_EXECUTIONS:
                finished = (arn for arn, (kept, _) in self._by_arn.items() if kept.status != "RUNNING")
                arn = next(finished, None)
                if arn is None:
                    return
                oldest, owner = self._by_arn.pop(arn)
                self._history_bytes -= self._histories.pop(arn, 0)
                owner.executions.remove(oldest)

    def get(self, arn: str) -> Any | None:
        """Return the execution of that ARN, or None."""
        found = self._by_arn.get(arn)
        return found[0] if found else None

    def ended(self, execution: Any) -> None:
        """Take note that the execution has ended, and drop the oldest histories if they hold too much.

        One that is not kept (started in sync, or of a deleted machine) is nobody's to ask for.
        """
        arn = execution.exec_arn
        with self._lock:
            if arn not in self._by_arn or self._by_arn[arn][0] is not execution:
                return
            self._histories[arn] = _history_size(execution)
            self._history_bytes += self._histories[arn]
            while self._history_bytes > KEPT_HISTORY_BYTES and len(self._histories) > 1:
                oldest, held = self._histories.popitem(last=False)
                self._history_bytes -= held
                self._by_arn[oldest][0].exec_worker.env = None

    def forget_machine(self, machine_arn: str) -> list[Any]:
        """Drop the executions of a deleted state machine and return them."""
        with self._lock:
            dropped = [
                (arn, execution)
                for arn, (execution, _) in self._by_arn.items()
                if execution.state_machine.arn == machine_arn
            ]
            for arn, _ in dropped:
                del self._by_arn[arn]
                self._history_bytes -= self._histories.pop(arn, 0)
        return [execution for _, execution in dropped]

    def count_running(self) -> int:
        """Return how many executions have not ended."""
        with self._lock:
            return sum(execution.status == "RUNNING" for execution, _ in self._by_arn.values())


def _history_size(execution: Any) -> int:
    """Return about how many bytes the execution's events hold."""
    events = execution.exec_worker.env.event_manager.get_event_history()
    return EVENT_BYTES * len(events) + sum(
        len(text)
        for event in events
        for details in event.values()
        if isinstance(details, dict)
        for text in details.values()
        if isinstance(text, str)
    )


EXECUTIONS = Executions()


def stop(execution: Any, error: str | None, cause: str | None) -> None:
    """Abort the execution now; what a task of it still does is not waited for."""
    execution.error, execution.cause = error, cause
    execution.stop_date = datetime.now(UTC)
    execution.stop(stop_date=execution.stop_date, error=error, cause=cause)
    execution.exec_status = ExecutionStatus.ABORTED
    abort_runs(execution.exec_arn)
