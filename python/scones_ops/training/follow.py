"""Starting a training job through sagemaker-core and following it to its end: status, log and metrics."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.exceptions

from scones_ops.aws import client
from scones_ops.console import say
from scones_ops.errors import TrainingFailed
from scones_ops.settings import Settings
from scones_ops.training.job import Request

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
POLL_SECONDS = 2.0
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

    def new_lines(self) -> list[str]:
        """Return the lines written since the last call; none while the job has no log yet."""
        try:
            answer = self.logs.describe_log_streams(
                logGroupName=LOG_GROUP, logStreamNamePrefix=f"{self.job}/", limit=50
            )
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return []
        return [line for stream in answer["logStreams"] for line in self._read(stream["logStreamName"])]

    def _read(self, stream: str) -> list[str]:
        lines: list[str] = []
        while True:
            token = self.tokens.get(stream)
            more = {"nextToken": token} if token else {}
            answer = self.logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True, **more
            )
            lines += [event["message"].rstrip() for event in answer["events"]]
            self.tokens[stream] = answer["nextForwardToken"]
            # The service gives the same token back at the end; an empty page alone does not mean the end.
            if answer["nextForwardToken"] == token or not answer["events"]:
                return lines


def run_job(settings: Settings, request: Request) -> FinishedJob:
    """Start the job `request` describes, show its progress, and return it once completed.

    An interrupt (Ctrl-C) stops the job first, because it would go on costing money.
    Raises TrainingFailed where AWS refuses the request, or the job fails or is stopped.
    """
    name = request["training_job_name"]
    tail = LogTail(client(settings, "logs"), name)
    job = None
    try:
        job = _create(settings, request)
        instances = request["resource_config"]
        say(f"training job {name} started on {instances['instance_count']} x {instances['instance_type']}")
        _follow(job, tail)
    except KeyboardInterrupt:
        if job is not None:
            _stop(job)
        raise
    return _outcome(job)


def _create(settings: Settings, request: Request) -> Any:
    """Return the created sagemaker-core TrainingJob."""
    logging.getLogger("sagemaker.config").setLevel(
        logging.WARNING
    )  # else it reports files that it did not find
    from sagemaker.core.resources import TrainingJob  # its import takes seconds

    session = boto3.Session(region_name=settings.region)
    try:
        return TrainingJob.create(**request, session=session, region=settings.region)
    except botocore.exceptions.ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        if code == "ResourceLimitExceeded":
            raise TrainingFailed(
                f"the account has no quota for training on {settings.training_instance_type}: ask for it in "
                "Service Quotas (SageMaker), or set TRAINING_INSTANCE_TYPE=ml.m5.xlarge"
            ) from None
        raise TrainingFailed(f"SageMaker refused the training job ({code}): {_one_line(message)}") from None


def _follow(job: Any, tail: LogTail) -> None:
    """Show the job's status transitions and log lines until it has ended."""
    shown = 0
    while True:
        job.refresh()  # before the log: what was written up to the end is then read too
        for line in tail.new_lines():
            say(f"  | {line}")
        transitions = _value(job.secondary_status_transitions) or []
        for transition in transitions[shown:]:
            say(f"  {transition.status}: {_one_line(_value(transition.status_message) or '')}".rstrip(": "))
        shown = len(transitions)
        if job.training_job_status in ENDED:
            return
        time.sleep(POLL_SECONDS)


def _stop(job: Any) -> None:
    """Stop the job, unless it ended in the meantime, and say so."""
    name = job.training_job_name
    try:
        job.stop()
    except botocore.exceptions.ClientError as error:
        reason = _one_line(error.response["Error"]["Message"])
        say(f"training job {name} could not be stopped ({reason}): look at it in SageMaker's console")
    else:
        say(f"interrupted: training job {name} is being stopped, it costs nothing more")


def _outcome(job: Any) -> FinishedJob:
    """Return the ended job. Raises TrainingFailed unless it completed."""
    name, status = job.training_job_name, job.training_job_status
    if status != "Completed":
        why = _reason(_value(job.failure_reason) or str(_value(job.secondary_status) or ""))
        raise TrainingFailed(
            f"training job {name} {str(status).lower()}: {why}; its log is in CloudWatch, group {LOG_GROUP}, "
            f"streams {name}/"
        )
    metrics = {item.metric_name: float(item.value) for item in _value(job.final_metric_data_list) or []}
    ended = _value(job.training_end_time) or datetime.now(UTC)
    return FinishedJob(
        name=name,
        artifact_url=job.model_artifacts.s3_model_artifacts,
        ended_at=ended.astimezone(UTC),
        metrics=metrics,
        billable_seconds=_value(job.billable_time_in_seconds),
    )


def _reason(failure: str) -> str:
    """Return a FailureReason in one line; of a script's error, the message without command and traceback."""
    quoted = re.search(r'ErrorMessage "(.+?)"\s*(?:Command|$)', failure, re.DOTALL)
    text = _one_line(quoted[1] if quoted else failure)
    # The end of a traceback says what happened, its beginning only where.
    return text if len(text) <= LONGEST_REASON else f"…{text[-LONGEST_REASON:]}"


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


def _value(field_of_resource: Any) -> Any:
    """Return the field, or None where sagemaker-core has its Unassigned() there."""
    return None if type(field_of_resource).__name__ == "Unassigned" else field_of_resource
