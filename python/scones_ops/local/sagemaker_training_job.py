"""One training job as the service sees it: its record, and the thread that follows its host process."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from scones_ops.local.context import CONTEXT
from scones_ops.local.processes import end_child, start_child
from scones_ops.local.role_clients import RoleLog, container_environment
from scones_ops.local.sagemaker_rules import SESSION_NAME, arn

log = logging.getLogger("scones.local.sagemaker")

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
DEFAULT_MAX_RUNTIME = 86_400
RUNNING = ("InProgress", "Stopping")

# StatusMessage of each secondary status, as DescribeTrainingJob words it.
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


def _now() -> datetime:
    return datetime.now(UTC)


class TrainingJobRecord:
    """What DescribeTrainingJob tells. The attributes are those that moto's listing and search read."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.training_job_name: str = request["TrainingJobName"]
        self.arn = arn("training-job", self.training_job_name)
        self.tags: list[dict[str, str]] = request.get("Tags") or []
        self.creation_time = self.last_modified_time = _now()
        self.training_job_status = "InProgress"
        self.secondary_status = "Starting"
        self.transitions: list[dict[str, Any]] = []
        self.training_start_time: datetime | None = None
        self.training_end_time: datetime | None = None
        self.failure_reason: str | None = None
        self.metrics: dict[str, dict[str, Any]] = {}
        self.enter("Starting")

    def enter(self, secondary: str, status: str | None = None) -> None:
        """Go to a secondary status, and to a primary one where given."""
        now = _now()
        if self.transitions:
            self.transitions[-1].setdefault("EndTime", now)
        entry = {"Status": secondary, "StartTime": now, "StatusMessage": _MESSAGES[secondary]}
        if status not in (None, "InProgress", "Stopping"):
            entry["EndTime"] = now
            self.training_end_time = now
        self.transitions.append(entry)
        self.secondary_status = secondary
        self.last_modified_time = now
        self.training_job_status = status or self.training_job_status

    @property
    def response_object(self) -> dict[str, Any]:
        """DescribeTrainingJob's answer."""
        asked = {k: v for k, v in self.request.items() if k not in ("Tags", "ModelPackageConfig")}
        output = self.request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        answer = {
            "EnableNetworkIsolation": False,
            "EnableInterContainerTrafficEncryption": False,
            "EnableManagedSpotTraining": False,
            **asked,
            "TrainingJobArn": self.arn,
            "TrainingJobStatus": self.training_job_status,
            "SecondaryStatus": self.secondary_status,
            "SecondaryStatusTransitions": self.transitions,
            "CreationTime": self.creation_time,
            "LastModifiedTime": self.last_modified_time,
            "ModelArtifacts": {"S3ModelArtifacts": f"{output}/{self.training_job_name}/output/model.tar.gz"},
            "FinalMetricDataList": list(self.metrics.values()),
        }
        if self.training_start_time:
            answer["TrainingStartTime"] = self.training_start_time
        if self.training_end_time:
            answer["TrainingEndTime"] = self.training_end_time
            start = self.training_start_time or self.training_end_time
            seconds = round((self.training_end_time - start).total_seconds())
            answer |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        if self.failure_reason:
            answer["FailureReason"] = self.failure_reason
        return answer


class TrainingRun:
    """The host process of one job, and the threads that follow its log, its steps and its clock."""

    def __init__(self, record: TrainingJobRecord, ended: Callable[[], object]) -> None:
        """`ended` is called when the job is over and nothing of it runs any more."""
        self.record = record
        self._ended = ended
        self.role_arn: str = record.request["RoleArn"]
        self.folder = CONTEXT.folder("training") / record.training_job_name
        self._host: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._out_of_time = False
        definitions = record.request["AlgorithmSpecification"].get("MetricDefinitions") or []
        self._metrics = [(item["Name"], re.compile(item["Regex"])) for item in definitions]
        self._thread = threading.Thread(target=self._follow, name=f"training {record.training_job_name}")
        self._thread.daemon = True

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the job to stop, as StopTrainingJob does."""
        with self._lock:
            self._stop_host()

    def close(self) -> None:
        """End the job's processes at once: the server ends."""
        host = self._host
        if host is not None:
            end_child(host)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop_host(self) -> bool:
        """Return whether the job was still in progress, and so is stopping now."""
        if self.record.training_job_status != "InProgress":
            return False
        self.record.enter("Stopping", "Stopping")
        if self.record.training_start_time is not None:  # else _run_host does, once the host can take it
            self._signal_host()
        return True

    def _signal_host(self) -> None:
        assert self._host is not None
        self._host.send_signal(signal.SIGTERM)  # nothing, if it has ended

    def _follow(self) -> None:
        stream = f"{self.record.training_job_name}/algo-1-{int(self.record.creation_time.timestamp())}"
        cloud_log = RoleLog(self.role_arn, SESSION_NAME, LOG_GROUP, stream)
        outcome: dict[str, str] = {}
        try:
            outcome = self._run_host(cloud_log)
        except Exception:
            log.exception("training job %s: our own fault", self.record.training_job_name)
        cloud_log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._finish(outcome)
        self._ended()

    def _run_host(self, cloud_log: RoleLog) -> dict[str, str]:
        """Run the host to its end and return its last event; empty if it died without one."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        job = {**self.record.request, "_arn": self.record.arn}
        (self.folder / "job.json").write_text(json.dumps(job))
        reader, writer = os.pipe()
        with self._lock:
            program = "scones_ops.local.sagemaker_training_host"
            self._host = start_child(
                [sys.executable, "-m", program, str(self.folder), str(writer)],
                env=container_environment(self.role_arn, SESSION_NAME, self.folder / "home"),
                cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(writer,),
            )  # fmt: skip
            os.close(writer)
        follower = threading.Thread(target=self._follow_log, args=(self._host, cloud_log), daemon=True)
        follower.start()
        limit = (self.record.request.get("StoppingCondition") or {}).get(
            "MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME
        )
        clock = threading.Timer(limit, self._run_out_of_time)
        clock.daemon = True
        outcome: dict[str, str] = {}
        with os.fdopen(reader) as events:
            for line in events:
                event = json.loads(line)
                if "outcome" in event:
                    outcome = event
                    continue
                with self._lock:
                    if self.record.training_start_time is None:
                        self.record.training_start_time = _now()
                        clock.start()
                        if self.record.training_job_status == "Stopping":
                            self._signal_host()
                    if self.record.training_job_status == "InProgress":
                        self.record.enter(event["stage"])
        clock.cancel()
        end_child(self._host)
        follower.join(timeout=10)
        return outcome

    def _follow_log(self, host: subprocess.Popen[bytes], cloud_log: RoleLog) -> None:
        assert host.stdout is not None
        for raw in host.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            cloud_log.write(line)
            for name, pattern in self._metrics:
                match = pattern.search(line)
                if match:
                    self._record_metric(name, match)

    def _record_metric(self, name: str, match: re.Match[str]) -> None:
        """Keep the last value of a metric; what the regular expression caught may be no number."""
        try:
            value = float(match.group(1) if match.groups() else match.group(0))
        except ValueError:
            return
        self.record.metrics[name] = {"MetricName": name, "Value": value, "Timestamp": _now()}

    def _run_out_of_time(self) -> None:
        with self._lock:
            self._out_of_time = self._stop_host()

    def _finish(self, outcome: dict[str, str]) -> None:
        with self._lock:
            ended = outcome.get("outcome")
            if ended == "Failed" or ended is None:
                self.record.failure_reason = outcome.get(
                    "reason", "InternalServerError: We encountered an internal error. Please try again."
                )
                self.record.enter("Failed", "Failed")
            elif self._out_of_time:
                self.record.enter("MaxRuntimeExceeded", "Stopped")
            else:
                self.record.enter(ended, ended)
