"""The main job on a local AWS: real Terraform, the deployed zips, a model really trained and served.

The tests run in this order on one stack: each leaves it deployed, the last removes it.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest
from chain_parts import ENDPOINT, PER_CLASS, Stack, wait_for
from PIL import Image

pytestmark = pytest.mark.slow

TEST_PICTURES = 2 * PER_CLASS["test"]


def test_ctrl_c_during_training_stops_the_job_and_hands_nothing_over(empty_stack: Stack) -> None:
    status, said = empty_stack.interrupt("train", at="linear head")
    assert status == 130, said
    assert "Traceback" not in said
    assert [job["TrainingJobStatus"] for job in empty_stack.training_jobs()] == ["Stopped"]
    assert not empty_stack.settings.handoff_file.exists()


def test_a_second_plan_is_empty(stack: Stack) -> None:
    assert stack.scones("plan").returncode == 0


def test_terraform_by_hand_finds_nothing_to_change(stack: Stack) -> None:
    done = stack.terraform("plan", "-detailed-exitcode", "-input=false")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_picture_is_classified_routed_and_recorded(stack: Stack) -> None:
    key = stack_pictures(stack)[0]
    execution = run_machine(
        stack, {"inferences": [], "s3_key": key, "s3_bucket": stack.bucket, "image_data": ""}
    )
    assert execution["status"] in ("SUCCEEDED", "FAILED"), execution
    record = json.loads(execution["output"] if execution["status"] == "SUCCEEDED" else execution["cause"])
    assert set(record) >= {
        "s3_bucket", "s3_key", "label", "confidence", "inferences", "filtered", "route", "model",
        "threshold", "execution", "decided_at",
    }  # fmt: skip
    assert record["s3_key"] == key
    assert record["model"] == stack.outputs["model_name"]
    assert record["execution"] == execution["executionArn"]
    assert len(record["inferences"]) == 2
    assert abs(sum(record["inferences"]) - 1) < 1e-3
    folder = "results" if execution["status"] == "SUCCEEDED" else "review"
    assert stack.document(f"{folder}/{key}/unversioned.json") == record


def test_a_whole_prefix_is_accounted_for(stack: Stack) -> None:
    prefix = stack_pictures(stack)[0].rsplit("/", 1)[0] + "/"
    shown = stack.succeed("classify-batch", prefix)
    assert f"{TEST_PICTURES} objects" in shown
    assert "broken" not in shown


def test_uploads_start_the_workflow_by_themselves(stack: Stack) -> None:
    pictures = stack_pictures(stack)[:5]
    body = {
        key: stack.client("s3").get_object(Bucket=stack.bucket, Key=key)["Body"].read() for key in pictures
    }
    uploads = {f"incoming/bay 1/über+{number}.png": data for number, data in enumerate(body.values())}
    versions = {key: stack.put(key, data) for key, data in uploads.items()}
    wanted = {f"{key}/{version}.json" for key, version in versions.items()}

    def recorded() -> set[str]:
        found = stack.keys("results/incoming/") + stack.keys("review/incoming/")
        return {key.split("/", 1)[1] for key in found}

    wait_for(lambda: recorded() >= wanted, 60, f"{len(wanted)} records")
    assert recorded() == wanted


def test_evaluate_accounts_for_every_test_picture_and_the_report_shows_them(stack: Stack) -> None:
    stack.succeed("evaluate")
    found = json.loads((stack.settings.build_dir / "evaluation" / "evaluation.json").read_text())
    assert found["pictures"] == found["accounted"] == TEST_PICTURES
    assert found["generated"] is False
    stack.succeed("report")
    page = (stack.settings.build_dir / "report" / "index.html").read_text()
    assert found["model"] in page


def test_low_confidence_is_reviewed_and_no_breakage(stack: Stack) -> None:
    stack.succeed("deploy", THRESHOLD="1")
    key = stack_pictures(stack)[1]
    done = stack.scones("classify", key)
    stack.succeed("deploy")
    assert done.returncode == 1
    assert "for review" in done.stdout
    record = stack.document(f"review/{key}/unversioned.json")
    assert record["error"] == "ThresholdConfidenceNotMet"
    assert record["threshold"] == 1
    assert stack.messages(stack.outputs["review_queue_url"], holding=key)


def test_a_picture_that_is_none_is_rejected_recorded_and_in_the_dead_letter_queue(stack: Stack) -> None:
    key = "adhoc/letter.png"
    stack.put(key, b"not a picture\n" * 1000)
    done = stack.scones("classify", key)
    assert done.returncode == 1
    assert "ImageInvalid" in done.stdout
    assert stack.document(f"rejected/{key}/unversioned.json")["error"] == "ImageInvalid"
    assert stack.messages(stack.outputs["dead_letter_queue_url"], holding=key)


def test_a_missing_picture_is_rejected(stack: Stack) -> None:
    done = stack.scones("classify", "adhoc/nothing.png")
    assert done.returncode == 1
    assert "ImageNotFound" in done.stdout


def test_a_large_photo_is_classified(stack: Stack, tmp_path: Any) -> None:
    photo = Image.effect_noise((4000, 3000), 90).convert("RGB")
    file = tmp_path / "photo.jpg"
    photo.save(file, "JPEG", quality=90)
    done = stack.scones("classify", str(file))
    assert "confidence" in done.stdout or "for review" in done.stdout, done.stdout + done.stderr


def test_what_the_endpoint_answered_is_captured(stack: Stack) -> None:
    wait_for(lambda: bool(stack.keys(f"data_capture/{ENDPOINT}/")), 30, "captured data")
    key = stack.keys(f"data_capture/{ENDPOINT}/")[0]
    lines = stack.client("s3").get_object(Bucket=stack.bucket, Key=key)["Body"].read().decode().splitlines()
    record = json.loads(lines[0])
    assert record["captureData"]["endpointInput"]["observedContentType"] == "image/png"
    assert len(json.loads(record["captureData"]["endpointOutput"]["data"])) == 2


def test_the_endpoint_goes_alone_and_comes_back_with_the_same_model_untrained(stack: Stack) -> None:
    sagemaker = stack.client("sagemaker")
    model = stack.outputs["model_name"]
    before, jobs = sagemaker.describe_model(ModelName=model), len(stack.training_jobs())
    stack.succeed("destroy-endpoint")
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert [m["ModelName"] for m in sagemaker.list_models()["Models"]] == [model]
    assert stack.scones("plan").returncode == 0, "a later plan must not bring the endpoint back"

    done = stack.scones("classify", stack_pictures(stack)[0])
    assert done.returncode == 1
    assert "EndpointUnavailable" in done.stderr
    assert "make deploy" in done.stderr

    shown = stack.succeed("deploy")
    handoff = json.loads(stack.settings.handoff_file.read_text())
    assert handoff["model"]["sha256"] in shown
    after = sagemaker.describe_model(ModelName=model)
    assert after["PrimaryContainer"] == before["PrimaryContainer"]
    assert len(stack.training_jobs()) == jobs
    assert stack.scones("plan").returncode == 0


def test_commands_say_in_one_line_what_to_do_when_the_local_aws_lost_everything(stack: Stack) -> None:
    stack.succeed("local", "down")
    done = stack.scones("deploy")
    assert done.returncode == 1
    assert "make train" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    stack.succeed("train")
    stack.succeed("deploy")


def test_destroy_leaves_nothing(stack: Stack) -> None:
    stack.succeed("destroy")
    assert stack.terraform("state", "list").stdout == ""
    assert not stack.settings.handoff_file.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", stack.settings.local_port)) != 0


def stack_pictures(stack: Stack) -> list[str]:
    """Return the keys of the staged test pictures."""
    return [key for key in stack.keys("datasets/") if "/test/" in key]


def run_machine(stack: Stack, event: dict[str, Any]) -> dict[str, Any]:
    """Return the ended execution of the single-picture machine, as DescribeExecution tells it."""
    states = stack.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=stack.outputs["state_machine_arn"], input=json.dumps(event))[
        "executionArn"
    ]
    end = time.monotonic() + 60
    while True:
        execution: dict[str, Any] = states.describe_execution(executionArn=arn)
        if execution["status"] != "RUNNING":
            return execution
        assert time.monotonic() < end, "the execution does not end"
        time.sleep(0.1)
