"""A training job's record, its artifact's bytes and its failure text, without a server."""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path

from scones_ops.local import sagemaker_training_host as host
from scones_ops.local.sagemaker_training_job import TrainingJobRecord

REQUEST = {
    "TrainingJobName": "a-job",
    "RoleArn": "arn:aws:iam::123456789012:role/r",
    "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://b/training/"},
    "Tags": [{"Key": "k", "Value": "v"}],
}


def test_the_same_files_give_the_same_archive_whatever_their_times_modes_and_order(tmp_path: Path) -> None:
    digests = set()
    for number, mode in enumerate((0o600, 0o777)):
        folder = tmp_path / str(number)
        (folder / "code").mkdir(parents=True)
        names = ["b.onnx", "a.json", "code/inference.py"]
        for name in reversed(names) if number else names:
            (folder / name).write_text(name)
            (folder / name).chmod(mode)
            os.utime(folder / name, (number * 1000, number * 1000))
        archive = tmp_path / f"{number}.tar.gz"
        host.pack(folder, archive)
        digests.add(hashlib.sha256(archive.read_bytes()).hexdigest())
    assert len(digests) == 1
    with tarfile.open(tmp_path / "0.tar.gz") as tar:
        assert tar.getnames() == ["a.json", "b.onnx", "code", "code/inference.py"]
        assert all(member.uid == member.gid == member.mtime == 0 for member in tar)


def test_a_failure_tells_the_first_1024_characters_and_the_exit_status(tmp_path: Path) -> None:
    file = tmp_path / "failure"
    assert host._failure_reason(file, -9) == "AlgorithmError: , exit code: 137"
    file.write_text("x" * 5000)
    assert host._failure_reason(file, 1) == f"AlgorithmError: {'x' * 1024}, exit code: 1"


def test_a_record_tells_each_step_with_its_times() -> None:
    record = TrainingJobRecord(REQUEST)
    for stage in ("Downloading", "Training", "Uploading"):
        record.enter(stage)
    record.training_start_time = record.creation_time
    record.enter("Completed", "Completed")
    told = record.response_object
    steps = told["SecondaryStatusTransitions"]
    assert [step["Status"] for step in steps] == [
        "Starting", "Downloading", "Training", "Uploading", "Completed"
    ]  # fmt: skip
    assert all(step["EndTime"] >= step["StartTime"] for step in steps)
    assert told["TrainingJobStatus"] == told["SecondaryStatus"] == "Completed"
    assert told["BillableTimeInSeconds"] == told["TrainingTimeInSeconds"] >= 0
    assert told["ModelArtifacts"]["S3ModelArtifacts"] == "s3://b/training/a-job/output/model.tar.gz"
    assert "Tags" not in told and "FailureReason" not in told
