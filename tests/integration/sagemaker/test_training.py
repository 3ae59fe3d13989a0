"""CreateTrainingJob really trains: with a script of a few lines, in the local AWS's own process."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import botocore.exceptions
import pytest
from sagemaker_parts import (
    BUCKET,
    ROLE,
    TRAINING_IMAGE,
    LocalAws,
    alive,
    children_of,
    family_of,
    health,
    started_server,
    tar_of,
    wait_until,
)

pytestmark = pytest.mark.slow

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


def submit(
    aws: LocalAws, script: str, *, extra_files: Mapping[str, str] | None = None, **changes: Any
) -> str:
    """Start a job that runs `script` as train.py and return its name."""
    name = f"job-{uuid4().hex[:12]}"
    source = aws.put(f"source/{name}.tar.gz", tar_of({"train.py": script, **(extra_files or {})}))
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": TRAINING_IMAGE, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/training"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 120},
        "HyperParameters": {"sagemaker_program": "train.py", "sagemaker_submit_directory": source},
    }
    aws.client("sagemaker").create_training_job(**{**request, **changes})
    return name


def describe(aws: LocalAws, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = aws.client("sagemaker").describe_training_job(TrainingJobName=name)
    return answer


def ended(aws: LocalAws, name: str, seconds: float = 60) -> dict[str, Any]:
    """Wait for the job's end and return its description."""

    def look() -> dict[str, Any] | None:
        job = describe(aws, name)
        return None if job["TrainingJobStatus"] in ("InProgress", "Stopping") else job

    job: dict[str, Any] = wait_until(look, seconds, f"{name} ends")
    return job


def channel(name: str, uri: str) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
    }


def said(aws: LocalAws, name: str, line: str) -> None:
    """Wait until the job's script has printed the line: only then does it run."""

    def look() -> bool:
        try:
            return line in aws.log_lines(LOG_GROUP, f"{name}/")
        except botocore.exceptions.ClientError:
            return False

    wait_until(look, 30, f"{name} says {line}")


def refused(aws: LocalAws, **changes: Any) -> tuple[str, str]:
    """Return code and message of the error that a request with these changes gets."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        submit(aws, "", **changes)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_job_trains_and_its_model_logs_metrics_and_times_can_be_read(aws: LocalAws) -> None:
    for number in range(3):
        aws.put(f"data/train/{number}.txt", b"picture %d" % number)
    aws.put("data/train/deep/er.txt", b"x")
    aws.put("data/train.lst", b"0\t1\t0.txt\n")
    script = (
        "import json, os, pathlib, sys\n"
        "train = pathlib.Path(os.environ['SM_CHANNEL_TRAIN'])\n"
        "found = sorted(str(f.relative_to(train)) for f in train.rglob('*') if f.is_file())\n"
        "lists = os.listdir(os.environ['SM_CHANNEL_TRAIN_LST'])\n"
        "for accuracy in (0.5, 0.75):\n"
        "    print(f'validation accuracy={accuracy}')\n"
        "model = pathlib.Path(os.environ['SM_MODEL_DIR'])\n"
        "(model / 'seen.json').write_text(json.dumps([found, lists, sys.argv[1:], os.environ['COLOUR']]))\n"
        "(pathlib.Path(os.environ['SM_OUTPUT_DATA_DIR']) / 'notes.txt').write_text('notes')\n"
    )
    name = f"job-{uuid4().hex[:12]}"
    source = aws.put(f"source/{name}.tar.gz", tar_of({"train.py": script, "requirements.txt": "numpy\n"}))
    name = submit(
        aws,
        script,
        AlgorithmSpecification={
            "TrainingImage": TRAINING_IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": "validation:accuracy", "Regex": "validation accuracy=([0-9.]+)"},
                {"Name": "never", "Regex": "no such line (.*)"},
            ],
        },
        InputDataConfig=[
            channel("train", f"s3://{BUCKET}/data/train/"),
            channel("train_lst", f"s3://{BUCKET}/data/train.lst"),
        ],
        HyperParameters={"sagemaker_program": "train.py", "sagemaker_submit_directory": source, "seed": "3"},
        Environment={"COLOUR": "red"},
        Tags=[{"Key": "team", "Value": "logistics"}],
    )
    job = ended(aws, name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed", job.get("FailureReason")
    steps = [step["Status"] for step in job["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [
        ("validation:accuracy", 0.75)
    ]
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] > 0

    url = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert url == f"s3://{BUCKET}/training/{name}/output/model.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(aws.get(url))) as tar:
        member = tar.extractfile("seen.json")
        assert member is not None
        found, lists, arguments, colour = json.loads(member.read())
    assert found == ["0.txt", "1.txt", "2.txt", "deep/er.txt"]
    assert lists == ["train.lst"]
    assert arguments == ["--seed", "3"] and colour == "red"
    assert f"training/{name}/output/output.tar.gz" in aws.keys(f"training/{name}/")

    lines = aws.log_lines(LOG_GROUP, f"{name}/algo-1-")
    assert "validation accuracy=0.75" in lines
    assert any("Requirement already satisfied: numpy" in line for line in lines)
    tags = aws.client("sagemaker").list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "logistics"}]
    assert name in [
        item["TrainingJobName"]
        for item in aws.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    ]
    assert not (aws.home / "training" / name).exists()


def test_the_log_can_be_read_while_the_job_runs(aws: LocalAws) -> None:
    name = submit(aws, "import time\nprint('it begins')\ntime.sleep(60)\n")
    said(aws, name, "it begins")
    assert describe(aws, name)["SecondaryStatus"] == "Training"
    aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    ended(aws, name)


def test_a_script_that_fails_fails_the_job_with_its_error(aws: LocalAws) -> None:
    job = ended(aws, submit(aws, "raise ValueError('no bicycle in sight')\n"))
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    reason = job["FailureReason"]
    assert reason.startswith("AlgorithmError: ")
    assert "no bicycle in sight" in reason and "ExitCode 1" in reason and reason.endswith("exit code: 1")


def test_a_job_whose_requirements_are_not_there_fails_at_once_and_installs_nothing(aws: LocalAws) -> None:
    start = time.monotonic()
    name = submit(aws, "", extra_files={"requirements.txt": "no-such-package-here==1.0\n"})
    job = ended(aws, name)
    assert job["TrainingJobStatus"] == "Failed"
    assert "InstallRequirementsError" in job["FailureReason"]
    assert time.monotonic() - start < 30


def test_a_stopped_job_may_save_its_model_within_the_grace_period(aws: LocalAws) -> None:
    script = (
        "import os, signal, sys, time\n"
        "def save(*_):\n"
        "    open(os.environ['SM_MODEL_DIR'] + '/saved.txt', 'w').write('so far')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "print('ready')\n"
        "time.sleep(60)\n"
    )
    name = submit(aws, script)
    said(aws, name, "ready")
    sagemaker = aws.client("sagemaker")
    sagemaker.stop_training_job(TrainingJobName=name)
    job = ended(aws, name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert f"training/{name}/output/model.tar.gz" in aws.keys(f"training/{name}/")
    with pytest.raises(botocore.exceptions.ClientError, match="in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName=name)


def test_a_job_over_its_time_is_stopped(aws: LocalAws) -> None:
    name = submit(aws, "import time\ntime.sleep(60)\n", StoppingCondition={"MaxRuntimeInSeconds": 3})
    job = ended(aws, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


# Leaves a process of its own behind, and tells its id.
LEAVE_A_SLEEPER = (
    "import subprocess, time\n"
    "quiet = subprocess.DEVNULL\n"
    "print(f\"sleeper {subprocess.Popen(['sleep', '90'], stdout=quiet, stderr=quiet).pid}\")\n"
)


def sleeper(aws: LocalAws, name: str) -> int:
    """Wait for the job's word of it and return the id of the process that its script started."""

    def look() -> list[str]:
        try:
            lines = aws.log_lines(LOG_GROUP, f"{name}/")
        except botocore.exceptions.ClientError:
            return []
        return [line.split()[1] for line in lines if line.startswith("sleeper ")]

    return int(wait_until(look, 30, f"{name} has its sleeper")[0])


def test_a_killed_script_fails_the_job_and_leaves_no_process(aws: LocalAws) -> None:
    name = submit(aws, LEAVE_A_SLEEPER + "import os\nos.kill(os.getpid(), 9)\n")
    job = ended(aws, name)
    assert job["TrainingJobStatus"] == "Failed" and "ExitCode -9" in job["FailureReason"]
    left = sleeper(aws, name)
    wait_until(lambda: not alive(left) and not family_of(aws.pid, name), 10, "nothing of the job is left")


def test_all_of_a_job_dies_with_its_host_even_when_that_is_killed(aws: LocalAws) -> None:
    name = submit(aws, LEAVE_A_SLEEPER + "time.sleep(90)\n")
    left = sleeper(aws, name)
    family = family_of(aws.pid, name)
    assert len(family) >= 4 and left in family  # host, sagemaker-training, script, sleeper
    os.kill(family[0], signal.SIGKILL)
    job = ended(aws, name)
    assert job["TrainingJobStatus"] == "Failed" and job["FailureReason"].startswith("InternalServerError")
    wait_until(lambda: not any(alive(pid) for pid in family), 10, "all its processes are gone")


def test_a_stopped_job_leaves_no_process(aws: LocalAws) -> None:
    name = submit(aws, LEAVE_A_SLEEPER + "time.sleep(90)\n")
    left = sleeper(aws, name)
    family = family_of(aws.pid, name)
    aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    assert ended(aws, name)["TrainingJobStatus"] == "Stopped"
    wait_until(lambda: not any(alive(pid) for pid in {left, *family}), 10, "all its processes are gone")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_ends_takes_a_jobs_processes_with_it(tmp_path: Path, how: signal.Signals) -> None:
    with started_server(tmp_path) as local:
        name = submit(local, LEAVE_A_SLEEPER + "time.sleep(90)\n")
        left = sleeper(local, name)
        family = children_of(local.pid)
        assert left in family
        os.kill(local.pid, how)
        wait_until(lambda: not any(alive(pid) for pid in family), 10, "all its processes are gone")


def test_a_job_stopped_right_after_its_creation_ends_stopped(aws: LocalAws) -> None:
    for pause in (0.0, 0.1, 0.4):  # before there is a process, and before that can take a signal
        name = submit(aws, "import time\ntime.sleep(60)\n")
        time.sleep(pause)
        aws.client("sagemaker").stop_training_job(TrainingJobName=name)
        job = ended(aws, name)
        assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped", job.get("FailureReason")
    wait_until(lambda: health(aws)["training jobs"] == 0, 5, "no ended job is kept")


def test_of_simultaneous_requests_with_one_name_one_is_taken(aws: LocalAws) -> None:
    name = f"job-{uuid4().hex[:12]}"
    data = channel("train", aws.put("data/one.txt", b"x"))  # looked for in S3, which takes a while

    def attempt(_: int) -> str:
        try:
            return submit(aws, "", TrainingJobName=name, InputDataConfig=[data])
        except botocore.exceptions.ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(attempt, range(6)))
    assert answers.count("ResourceInUse") == 5, answers
    ended(aws, name)


def test_a_name_can_be_used_once(aws: LocalAws) -> None:
    name = submit(aws, "")
    code, message = refused(aws, TrainingJobName=name)
    assert code == "ResourceInUse" and name in message
    ended(aws, name)


def test_an_image_that_cannot_run_here_is_refused_in_one_line(aws: LocalAws) -> None:
    image = "811284229777.dkr.ecr.us-east-1.amazonaws.com/image-classification:1"
    code, message = refused(aws, AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"})
    assert code == "ValidationException" and "\n" not in message
    assert "image-classification" in message and "ALGORITHM=transfer" in message


@pytest.mark.parametrize("role", ["no-such-role", "not-for-sagemaker"])
def test_a_role_that_sagemaker_cannot_assume_is_refused(aws: LocalAws, role: str) -> None:
    code, message = refused(aws, RoleArn=ROLE.replace("sagemaker-tests", role))
    assert code == "ValidationException" and message.startswith("Could not assume role")


def test_a_channel_without_objects_is_refused(aws: LocalAws) -> None:
    code, message = refused(aws, InputDataConfig=[channel("train", f"s3://{BUCKET}/nothing/here")])
    assert code == "ValidationException" and message.startswith("No S3 objects found under S3 URL")
    code, message = refused(aws, InputDataConfig=[channel("train", "s3://no-such-bucket-at-all/x")])
    assert "The specified bucket does not exist" in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RoleArn": "arn:aws:iam::123456789012:user/someone"}, "regular expression pattern"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}}, "one"),
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 10}}, "MaxWaitTime"),
    ],
)
def test_what_sagemaker_refuses_is_refused(aws: LocalAws, changes: dict[str, Any], words: str) -> None:
    code, message = refused(aws, **changes)
    assert code == "ValidationException" and words in message


def test_an_unknown_job_is_not_found(aws: LocalAws) -> None:
    sagemaker = aws.client("sagemaker")
    with pytest.raises(botocore.exceptions.ClientError, match="Requested resource not found"):
        sagemaker.describe_training_job(TrainingJobName="nobody")
    with pytest.raises(botocore.exceptions.ClientError, match="Requested resource not found"):
        sagemaker.stop_training_job(TrainingJobName="nobody")


def test_sagemaker_core_creates_follows_and_reads_a_job(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in aws.environment().items():
        monkeypatch.setenv(variable, value)
    from sagemaker.core.resources import TrainingJob
    from sagemaker.core.shapes import (
        AlgorithmSpecification,
        OutputDataConfig,
        ResourceConfig,
        StoppingCondition,
    )

    source = aws.put("source/core.tar.gz", tar_of({"train.py": "print('loss=0.25')\n"}))
    job = TrainingJob.create(
        training_job_name=f"core-{uuid4().hex[:8]}",
        role_arn=ROLE,
        algorithm_specification=AlgorithmSpecification(
            training_image=TRAINING_IMAGE,
            training_input_mode="File",
            metric_definitions=[{"name": "loss", "regex": "loss=(.*)"}],
        ),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{BUCKET}/training"),
        resource_config=ResourceConfig(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=1),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=60),
        hyper_parameters={"sagemaker_program": "train.py", "sagemaker_submit_directory": source},
        region="us-east-1",
    )
    job.wait(poll=1, timeout=60)
    job.refresh()
    assert job.training_job_status == "Completed"
    assert [(m.metric_name, m.value) for m in job.final_metric_data_list] == [("loss", 0.25)]
