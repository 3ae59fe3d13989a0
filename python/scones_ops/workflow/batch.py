"""A whole prefix through the batch machine: start it, follow its map run, read what ResultWriter wrote.

The files' format: AWS Step Functions Developer Guide, "ResultWriter (Map)".
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scones_ops import aws
from scones_ops.errors import WorkflowFailed
from scones_ops.settings import Settings
from scones_ops.workflow.execution import Execution, build_execution, read_object
from scones_ops.workflow.single import describe_execution, start_execution

if TYPE_CHECKING:
    from scones_ops.infra import Outputs

POLL_SECONDS = (0.5, 5.0)  # the first pause and the longest


@dataclass(frozen=True)
class BatchResult:
    """A batch, ended: one `Execution` for each object under the prefix, folder markers included."""

    prefix: str
    arn: str
    manifest_key: str
    executions: tuple[Execution, ...]
    started_at: datetime
    stopped_at: datetime

    @property
    def counts(self) -> dict[str, int]:
        """How many pictures had each outcome (see `Execution.outcome`)."""
        return dict(Counter(execution.outcome for execution in self.executions))

    @property
    def seconds(self) -> float:
        return (self.stopped_at - self.started_at).total_seconds()


def classify_prefix(
    settings: Settings,
    outputs: Outputs,
    prefix: str,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> BatchResult:
    """Return what became of every object under `prefix` of the project's bucket.

    `on_progress(done, total)` is called now and then. A picture that fails does not stop the others.
    Raises WorkflowFailed where there are no pictures or the batch itself fails.
    """
    s3 = aws.client(settings, "s3")
    if not prefix:
        raise WorkflowFailed("no prefix: name one, as `make classify-batch PREFIX=incoming/`")
    if s3.list_objects_v2(Bucket=outputs.bucket_name, Prefix=prefix, MaxKeys=1)["KeyCount"] == 0:
        raise WorkflowFailed(
            f"there is nothing under s3://{outputs.bucket_name}/{prefix}: "
            "upload pictures, or name another prefix"
        )
    client = aws.client(settings, "stepfunctions")
    arn = start_execution(client, outputs.batch_state_machine_arn, {"prefix": prefix})
    description = _follow(client, arn, on_progress)
    if description["status"] != "SUCCEEDED":
        reason = " ".join(str(description.get("cause") or "").split())
        raise WorkflowFailed(f"the batch ended {description['status']}, {description.get('error')}: {reason}")
    output = read_object(description.get("output")) or {}
    manifest_key = str(output["ResultWriterDetails"]["Key"])
    executions = tuple(_read_item(client, item) for item in _items(s3, outputs.bucket_name, manifest_key))
    return BatchResult(
        prefix, arn, manifest_key, executions, description["startDate"], description["stopDate"]
    )


def _follow(client: Any, arn: str, on_progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Return DescribeExecution's answer once the batch `arn` has ended."""
    pause, longest = POLL_SECONDS
    while True:
        description = describe_execution(client, arn)
        for run in client.list_map_runs(executionArn=arn)["mapRuns"]:
            counts = client.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
            done = sum(counts[name] for name in ("succeeded", "failed", "timedOut", "aborted"))
            on_progress(done, counts["total"])
        if description["status"] != "RUNNING":
            return description
        time.sleep(pause)
        pause = min(pause * 1.2, longest)


def _items(s3: Any, bucket: str, manifest_key: str) -> Iterator[Mapping[str, Any]]:
    """Yield the descriptions of the child executions from the files that the manifest names."""
    manifest = json.loads(s3.get_object(Bucket=bucket, Key=manifest_key)["Body"].read())
    for files in manifest["ResultFiles"].values():
        for file in files:
            yield from json.loads(s3.get_object(Bucket=bucket, Key=file["Key"])["Body"].read())


def _read_item(client: Any, item: Mapping[str, Any]) -> Execution:
    """Return the child execution that `item` of a result file tells of."""
    event = read_object(item.get("Input")) or {}
    error, cause = item.get("Error"), item.get("Cause")
    if item["Status"] != "SUCCEEDED" and not error:
        description = describe_execution(client, item["ExecutionArn"])
        error, cause = description.get("error"), description.get("cause")
    return build_execution(
        key=str(event.get("s3_key", "")),
        arn=str(item["ExecutionArn"]),
        status=str(item["Status"]),
        error=error,
        cause=cause,
        output=item.get("Output"),
        started_at=_moment(item["StartDate"]),
        stopped_at=_moment(item["StopDate"]),
    )


def _moment(value: str | float) -> datetime:
    """Return the moment that `value` (ISO text, or seconds since 1970) names."""
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return datetime.fromtimestamp(value, UTC)
