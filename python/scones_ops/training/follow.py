"""Following a training job to its end: status, log and metrics; stopping it where the user interrupts."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from scones_ops.aws import client
from scones_ops.console import say
from scones_ops.errors import TrainingFailed
from scones_ops.settings import Settings
from scones_ops.training import faults
from scones_ops.training.job import Request
from scones_ops.training.start import place, resource, start_job

T = TypeVar("T")

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
POLL_SECONDS = 2.0
PATIENCE_SECONDS = 300.0  # a laptop that changes networks; the job itself goes on meanwhile
ENDED = ("Completed", "Failed", "Stopped")
LONGEST_REASON = 400


@dataclass(frozen=True)
class FinishedJob:
    """A completed job: where its artifact is, when it ended (UTC), its last metrics and billed seconds."""

    name: str
    artifact_url: str
    ended_at: datetime
    metrics: dict[str, float]
    billable_seconds: int | None


@dataclass
class LogTail:
    """Reads on in the job's log streams, one stream an instance, from where it last stopped."""

    logs: Any
    job: str
    tokens: dict[str, str] = field(default_factory=dict)
    warned: bool = False

    def new_lines(self) -> Iterator[str]:
        """Yield the lines written since the last call; none while the job has no log yet.

        A log that cannot be read is said once: the job trains all the same.
        """
        try:
            answer = self.logs.describe_log_streams(
                logGroupName=LOG_GROUP, logStreamNamePrefix=f"{self.job}/", limit=50
            )
            for stream in answer["logStreams"]:
                yield from self._read(stream["logStreamName"])
        except faults.AwsError as error:
            if not self.warned and not faults.missing(error):
                say(f"  the job's log cannot be read ({faults.reason(error)}): going on without it")
                self.warned = True

    def _read(self, stream: str) -> Iterator[str]:
        while True:
            token = self.tokens.get(stream)
            more = {"nextToken": token} if token else {}
            answer = self.logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True, **more
            )
            self.tokens[stream] = answer["nextForwardToken"]
            yield from (event["message"].rstrip() for event in answer["events"])
            # The service gives the same token back at the end; an empty page alone does not mean the end.
            if answer["nextForwardToken"] == token or not answer["events"]:
                return


def run_job(settings: Settings, request: Request) -> FinishedJob:
    """Start the job `request` describes, show its progress, and return it once completed.

    An interrupt (Ctrl-C) stops the job, because it would go on costing money.
    Raises TrainingFailed where AWS refuses the request, the job fails or is stopped, or it cannot be watched.
    """
    name = request["training_job_name"]
    with _stopped_by_interrupt(settings, name):
        start_job(settings, request)
        job = find_job(settings, name)
        instances = request["resource_config"]
        say(
            f"training job {name} started on {instances['instance_count']} x {instances['instance_type']}; "
            f"should this command be cut off, `{_way_back(settings, name)}` takes the job up"
        )
        return _follow(settings, job)


def resume_job(settings: Settings, job: Any) -> FinishedJob:
    """Show the progress of a job that `find_job` found, and return it once completed; as in `run_job`."""
    with _stopped_by_interrupt(settings, job.training_job_name):
        return _follow(settings, job)


def find_job(settings: Settings, name: str) -> Any:
    """Return the sagemaker-core TrainingJob called `name`. Raises TrainingFailed where there is none."""

    def ask() -> Any:
        try:
            return resource().get(name, **place(settings))
        except faults.AwsError as error:
            if not faults.missing(error):
                raise
            raise TrainingFailed(f"SageMaker has no training job {name}: train with `make train`") from None

    return _patiently(settings, name, ask)


def _follow(settings: Settings, job: Any) -> FinishedJob:
    """Show the job's status transitions and log lines until it has ended, and return its outcome."""
    tail = LogTail(client(settings, "logs"), job.training_job_name)
    shown = 0
    while True:
        # Before the log: what was written up to the end is then read too.
        _patiently(settings, job.training_job_name, job.refresh)
        for line in tail.new_lines():
            say(f"  | {line}")
        transitions = value(job.secondary_status_transitions) or []
        for step in transitions[shown:]:
            say(f"  {step.status}: {faults.one_line(value(step.status_message) or '')}".rstrip(": "))
        shown = len(transitions)
        if job.training_job_status in ENDED:
            return _outcome(job)
        time.sleep(POLL_SECONDS)


def _patiently(settings: Settings, name: str, ask: Callable[[], T]) -> T:
    """Return what `ask` returns; what passes (network, throttling) is waited out for PATIENCE_SECONDS.

    Raises TrainingFailed, which names the job and the way back to it, for any other error of AWS.
    """
    deadline = None
    while True:
        try:
            return ask()
        except faults.AwsError as error:
            now, why = time.monotonic(), faults.reason(error)
            if not faults.passing(error) or (deadline is not None and now > deadline):
                raise TrainingFailed(
                    f"training job {name} cannot be watched ({why}); it may go on, at cost: mend that, then "
                    f"take the job up again with `{_way_back(settings, name)}`"
                ) from None
            if deadline is None:
                deadline = now + PATIENCE_SECONDS
                say(
                    f"  no answer about the job ({why}): asking again for {PATIENCE_SECONDS / 60:.0f} minutes"
                )
            time.sleep(POLL_SECONDS)


def _way_back(settings: Settings, name: str) -> str:
    """Return the command that takes the job up again."""
    return f"scones-ops --target {settings.target} train --job {name}"


@contextlib.contextmanager
def _stopped_by_interrupt(settings: Settings, name: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        _stop(settings, name)
        raise


def _stop(settings: Settings, name: str) -> None:
    """Stop the job and say so; it may never have been submitted, or may have ended in the meantime."""
    sagemaker = client(settings, "sagemaker")
    for _ in range(2):
        try:
            sagemaker.stop_training_job(TrainingJobName=name)
        except faults.AwsError as error:
            if not faults.missing(error):
                say(
                    f"interrupted: training job {name} could not be stopped ({faults.reason(error)}); unless "
                    f"it has ended it costs on: stop it in SageMaker's console, or take it up again with "
                    f"`{_way_back(settings, name)}`"
                )
                return
        else:
            say(f"interrupted: training job {name} is being stopped, it costs nothing more")
            return
        time.sleep(POLL_SECONDS)  # the request that was interrupted may still be on its way
    say(f"interrupted: training job {name} had not started, it costs nothing")


def _outcome(job: Any) -> FinishedJob:
    """Return the ended job. Raises TrainingFailed unless it completed."""
    name, status = job.training_job_name, job.training_job_status
    if status != "Completed":
        why = _reason(value(job.failure_reason) or str(value(job.secondary_status) or ""))
        raise TrainingFailed(
            f"training job {name} {str(status).lower()}: {why}; its log is in CloudWatch, group {LOG_GROUP}, "
            f"streams {name}/"
        )
    metrics = {item.metric_name: float(item.value) for item in value(job.final_metric_data_list) or []}
    ended = value(job.training_end_time) or datetime.now(UTC)
    return FinishedJob(
        name=name,
        artifact_url=job.model_artifacts.s3_model_artifacts,
        ended_at=ended.astimezone(UTC),
        metrics=metrics,
        billable_seconds=value(job.billable_time_in_seconds),
    )


def _reason(failure: str) -> str:
    """Return a FailureReason in one line; of a script's error, the message without command and traceback."""
    quoted = re.search(r'ErrorMessage "(.+?)"\s*(?:Command|$)', failure, re.DOTALL)
    text = faults.one_line(quoted[1] if quoted else failure)
    # The end of a traceback says what happened, its beginning only where.
    return text if len(text) <= LONGEST_REASON else f"…{text[-LONGEST_REASON:]}"


def value(field_of_resource: Any) -> Any:
    """Return the field, or None where sagemaker-core has its Unassigned() there."""
    return None if type(field_of_resource).__name__ == "Unassigned" else field_of_resource
