"""Pictures one by one through the classify machine, with some executions under way at once."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from scones_ops import aws
from scones_ops.errors import WorkflowFailed
from scones_ops.settings import Settings
from scones_ops.workflow.execution import Execution, read_execution

if TYPE_CHECKING:
    from scones_ops.infra import Outputs

# The machine itself ends after 300 s.
FOLLOW_SECONDS = 330.0
# Watched by no rule: under incoming/ the upload alone would start an execution.
UPLOAD_PREFIX = "adhoc"


def classify(
    settings: Settings, outputs: Outputs, key: str, *, bucket: str | None = None, version: str | None = None
) -> Execution:
    """Return the ended execution for the picture `key` of `bucket` (default: the project's).

    A picture that is rejected or not certain is no error here: see `Execution.outcome`.
    Raises WorkflowFailed where the machine cannot be started or followed.
    """
    runner = _Runner(settings, outputs, connections=1)
    return runner.run(key, bucket=bucket, version=version)


def classify_many(
    settings: Settings, outputs: Outputs, keys: Iterable[str], in_flight: int
) -> Iterator[Execution]:
    """Yield the ended execution of each key, as they end, with `in_flight` under way at once.

    Raises WorkflowFailed as `classify` does. When the caller stops, what is under way ends by itself.
    """
    runner = _Runner(settings, outputs, connections=in_flight)
    waiting = iter(keys)
    pool = ThreadPoolExecutor(in_flight, thread_name_prefix="classify")
    try:
        pending: set[Future[Execution]] = {pool.submit(runner.run, key) for key in islice(waiting, in_flight)}
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            pending |= {pool.submit(runner.run, key) for key in islice(waiting, len(done))}
            for future in done:
                yield future.result()
    finally:
        runner.stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


def upload(settings: Settings, outputs: Outputs, path: Path) -> str:
    """Upload the file `path` and return its key, the same for the same content and name.

    Raises WorkflowFailed where the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WorkflowFailed(f"{path} cannot be read ({error.strerror}): name a picture file") from None
    key = f"{UPLOAD_PREFIX}/{hashlib.sha256(data).hexdigest()[:12]}/{path.name}"
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    aws.client(settings, "s3").put_object(
        Bucket=outputs.bucket_name, Key=key, Body=data, ContentType=content_type
    )
    return key


class _Runner:
    """Starts executions and follows each to its end; shared by the threads of `classify_many`."""

    def __init__(self, settings: Settings, outputs: Outputs, *, connections: int) -> None:
        self.client = aws.client(settings, "stepfunctions", connections=connections)
        self.machine = outputs.state_machine_arn
        self.bucket = outputs.bucket_name
        self.stopped = threading.Event()
        self.pace = _Pace()

    def run(self, key: str, *, bucket: str | None = None, version: str | None = None) -> Execution:
        event: dict[str, Any] = {
            "inferences": [], "s3_key": key, "s3_bucket": bucket or self.bucket, "image_data": ""
        }  # fmt: skip
        if version:
            event["s3_version"] = version
        arn = start_execution(self.client, self.machine, event)
        return read_execution(key, self.follow(arn))

    def follow(self, arn: str) -> dict[str, Any]:
        """Return DescribeExecution's answer for the ended execution `arn`. Raises WorkflowFailed."""
        begun = time.monotonic()
        for pause in self.pace.pauses():
            if self.stopped.wait(pause):
                raise WorkflowFailed(f"no longer following {arn}: it ends by itself")
            description = describe_execution(self.client, arn)
            if description["status"] not in ("RUNNING", "PENDING_REDRIVE"):
                self.pace.learn(description["startDate"], description["stopDate"])
                return description
            if time.monotonic() - begun > FOLLOW_SECONDS:
                break
        raise WorkflowFailed(
            f"{arn} still runs after {FOLLOW_SECONDS:.0f} s: see it in the Step Functions console"
        )


class _Pace:
    """When to ask whether an execution has ended: first when the last ones did, then ever more rarely."""

    def __init__(self) -> None:
        self.expected = 0.4  # seconds, a running mean
        self.lock = threading.Lock()

    def learn(self, started: datetime, stopped: datetime) -> None:
        # The execution's own time, not ours: ours holds the pause that it is to set.
        with self.lock:
            self.expected += 0.2 * ((stopped - started).total_seconds() - self.expected)

    def pauses(self) -> Iterator[float]:
        """Yield seconds to wait before each question, without end."""
        yield max(0.05, 0.8 * self.expected)
        pause = max(0.05, 0.15 * self.expected)
        while True:
            yield min(pause, 2.0)
            pause *= 1.5


def start_execution(client: Any, machine: str, event: dict[str, Any]) -> str:
    """Start `machine` with `event` and return the execution's ARN. Raises WorkflowFailed."""
    try:
        answer = client.start_execution(
            stateMachineArn=machine, name=str(uuid.uuid4()), input=json.dumps(event)
        )
    except ClientError as error:
        raise WorkflowFailed(_refused(f"{machine} cannot be started", error)) from None
    return str(answer["executionArn"])


def describe_execution(client: Any, arn: str) -> dict[str, Any]:
    """Return DescribeExecution's answer; right after the start AWS may not know the execution yet."""
    for attempt in range(5):
        try:
            answer: dict[str, Any] = client.describe_execution(executionArn=arn)
            return answer
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist" or attempt == 4:
                raise WorkflowFailed(_refused(f"{arn} cannot be followed", error)) from None
            time.sleep(0.2 * 2**attempt)
    raise AssertionError("the loop returns or raises")


def _refused(what: str, error: ClientError) -> str:
    code = error.response["Error"]["Code"]
    hint = {
        "StateMachineDoesNotExist": "run `make deploy`",
        "StateMachineDeleting": "wait until it is gone, then run `make deploy`",
        "ExecutionDoesNotExist": "the local AWS was started anew since: run the command again",
        "AccessDeniedException": "ask for the permission, or choose another AWS_PROFILE",
    }.get(code, " ".join(str(error.response["Error"].get("Message", "try again later")).split()))
    return f"{what} ({code}): {hint}"
