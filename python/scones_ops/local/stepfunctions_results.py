"""Writes the results of a Map run to S3 as AWS's ResultWriter does.

Format: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
"""

from __future__ import annotations

import json
from typing import Any

from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

from scones_ops.local.stepfunctions_map_run import Child, MapRun, timestamp


def write_results(client: Any, bucket: str, prefix: str, run: MapRun) -> str:
    """Write the result files and then the manifest that names them, and return the manifest's key.

    What had not begun when a run failed is PENDING, with its item as the reader gave it.
    """
    folder = f"{prefix.rstrip('/')}/" if prefix else ""
    folder += run.arn.rsplit(":", 1)[-1]
    children = [child for _, child in sorted(run.children.items())]
    files: dict[str, list[dict[str, Any]]] = {}
    for group, entries in {
        "FAILED": [_entry(child) for child in children if child.status not in ("SUCCEEDED", "RUNNING")],
        "PENDING": [{"Input": to_json_str(item)} for item in run.pending],
        "SUCCEEDED": [_entry(child) for child in children if child.status == "SUCCEEDED"],
    }.items():
        files[group] = []
        if entries:
            key = f"{folder}/{group}_0.json"
            body = json.dumps(entries).encode()
            client.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
            files[group].append({"Key": key, "Size": len(body)})
    manifest = {"DestinationBucket": bucket, "MapRunArn": run.arn, "ResultFiles": files}
    key = f"{folder}/manifest.json"
    client.put_object(
        Bucket=bucket, Key=key, Body=json.dumps(manifest).encode(), ContentType="application/json"
    )
    return key


def _entry(child: Child) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "ExecutionArn": child.arn,
        "Input": to_json_str(child.input),
        "InputDetails": {"Included": True},
        "Name": child.name,
        "OutputDetails": {"Included": True},
        "RedriveCount": 0,
        "StartDate": timestamp(child.started_at),
        "StateMachineArn": child.machine_arn,
        "Status": child.status,
        "StopDate": timestamp(child.stopped_at or child.started_at),
    }
    if child.status == "SUCCEEDED":
        return entry | {
            "Output": to_json_str(child.output),
            "RedriveStatus": "NOT_REDRIVABLE",
            "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
        }
    return entry | {
        "Cause": child.cause or "",
        "Error": child.error or "",
        "RedriveStatus": "REDRIVABLE_BY_MAP_RUN",
    }
