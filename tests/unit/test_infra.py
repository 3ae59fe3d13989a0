"""Terraform from Python: variables, progress, errors, locks and Ctrl-C. The real one, on small roots."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from scones_ops import infra, terraform
from scones_ops.errors import InfrastructureFailed, NothingDeployed, ToolMissing
from scones_ops.handoff import Handoff, ModelRecord, write_handoff
from scones_ops.infra import Infrastructure, Outputs
from scones_ops.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
OUTPUT_NAMES = [item.name for item in dataclasses.fields(Outputs)]

SMALL_ROOT = """
terraform {
  required_version = ">= 1.9"
}

variable "threshold" {
  type    = number
  default = 0.5
}

variable "answer" {
  type    = string
  default = "yes"
}

resource "terraform_data" "this" {
  input = var.answer

  lifecycle {
    precondition {
      condition     = var.threshold < 0.99
      error_message = "A threshold of ${var.threshold} lets nothing through: choose a lower one."
    }
  }
}

output "answer" {
  value = terraform_data.this.output
}
"""

SLOW_ROOT = """
resource "terraform_data" "first" {}

resource "terraform_data" "slow" {
  depends_on = [terraform_data.first]

  provisioner "local-exec" {
    command = "touch ${path.root}/begun; sleep 3"
  }
}

resource "terraform_data" "last" {
  depends_on = [terraform_data.slow]
}
"""


def record(**changes: Any) -> ModelRecord:
    return ModelRecord(**{
        "name": "shop-0123456789ab",
        "data_url": "s3://shop/training/job/output/model.tar.gz",
        "image_uri": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312",
        "sha256": "0123456789ab" + "0" * 52,
        "training_job": "job",
        "classes": ("bicycle", "motorcycle"),
        "input_size": (32, 32),
        "metrics": {"validation_accuracy": 0.95},
        "trained_at": "2026-01-01T00:00:00Z",
        "dataset": {"dataset_id": "abcdefabcdef", "generated": True, "source": {"kind": "generated"}},
        **changes,
    })  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no trace in the process's environment of what the settings write there."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "TF_WORKSPACE",
                 "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED", "AWS_PROFILE"):  # fmt: skip
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def clone(tmp_path: Path) -> Callable[..., Settings]:
    """Make a clone whose terraform/ is a small root without AWS, and return its settings."""

    def make(source: str = SMALL_ROOT, **env: str) -> Settings:
        (tmp_path / "terraform").mkdir(exist_ok=True)
        (tmp_path / "terraform/main.tf").write_text(source)
        shared = (ROOT / "terraform/scones.auto.tfvars.json").read_text()
        (tmp_path / "terraform/scones.auto.tfvars.json").write_text(shared)
        (tmp_path / "lambdas/greet").mkdir(parents=True, exist_ok=True)
        (tmp_path / "lambdas/greet/handler.py").write_text("")
        return load_settings({"SCONES_WORKSPACE": "small"} | env, tmp_path)

    return make


# ---------------------------------------------------------------- variables


def test_the_local_target_is_told_only_what_aws_does_not_need(clone: Callable[..., Settings]) -> None:
    handoff = Handoff(record(), endpoint_enabled=True)
    assert infra.variables(clone(TARGET="local"), handoff) == {
        "s3_use_path_style": True,
        "force_destroy": True,
        "deploy_command": "make deploy",
        "lambda_package_dir": "../build/small/lambda",
        # The zips hold this machine's packages.
        "lambda_runtime": f"python{sys.version_info.major}.{sys.version_info.minor}",
    }
    assert infra.variables(clone(TARGET="aws"), handoff) == {}


def test_without_a_model_of_its_own_a_target_does_not_take_another_targets(
    clone: Callable[..., Settings],
) -> None:
    assert infra.variables(clone(TARGET="aws"), None) == {"model": None, "endpoint_enabled": True}


def test_a_setting_of_the_environment_reaches_terraform(clone: Callable[..., Settings]) -> None:
    handoff = Handoff(record(classes=("bus", "train")), endpoint_enabled=True)
    values = infra.variables(clone(TARGET="aws", THRESHOLD="0.8", CLASSES="bus,train"), handoff)
    assert values == {"threshold": 0.8, "classes": ["bus", "train"]}


def test_a_deployed_model_keeps_its_classes_until_another_is_handed_over(
    clone: Callable[..., Settings],
) -> None:
    handoff = Handoff(record(), endpoint_enabled=True)
    assert infra.variables(clone(TARGET="aws", CLASSES="bus,train"), handoff)["classes"] == [
        "bicycle",
        "motorcycle",
    ]


def test_zips_outside_the_clone_are_named_by_their_full_path(
    clone: Callable[..., Settings], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    values = infra.variables(clone(TARGET="aws", SCONES_BUILD=str(elsewhere)), None)
    assert values["lambda_package_dir"] == str(elsewhere / "lambda")


# ---------------------------------------------------------------- the tool


def test_a_missing_terraform_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"not on the PATH: install Terraform 1\.9 or newer"):
        terraform.terraform_version()


def test_a_terraform_that_is_too_old_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "terraform"
    old.write_text('#!/bin/sh\necho \'{"terraform_version": "1.8.5"}\'\n')
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ToolMissing, match=r"Terraform 1\.8\.5 is too old"):
        terraform.terraform_version()


def test_a_named_mirror_without_the_provider_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TF_PLUGIN_DIR", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"holds no registry\.terraform\.io/hashicorp/aws"):
        terraform.find_provider_mirror()


def test_a_mirror_is_found_one_level_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TF_PLUGIN_DIR", raising=False)
    monkeypatch.setattr(terraform, "MIRRORS", tmp_path)
    assert terraform.find_provider_mirror() is None
    (tmp_path / "plugins/registry.terraform.io/hashicorp/aws").mkdir(parents=True)
    assert terraform.find_provider_mirror() == tmp_path / "plugins"


def test_a_settings_file_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    assert "TF_CLI_CONFIG_FILE" not in terraform.clean_environment(
        {"TF_CLI_CONFIG_FILE": str(tmp_path / "gone")}
    )
    there = tmp_path / "terraformrc"
    there.write_text("")
    assert terraform.clean_environment({"TF_CLI_CONFIG_FILE": str(there)})["TF_CLI_CONFIG_FILE"] == str(there)


def test_a_provider_that_cannot_be_had_is_one_clear_line(
    clone: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = clone(
        'terraform {\n  required_providers {\n    aws = {\n      source  = "localhost:1/hashicorp/aws"\n'
        '      version = "5.100.0"\n    }\n  }\n}\n'
    )
    monkeypatch.setattr(terraform, "MIRRORS", tmp_path)
    monkeypatch.delenv("TF_PLUGIN_DIR", raising=False)
    with pytest.raises(ToolMissing, match="set TF_PLUGIN_DIR") as error:
        Infrastructure(settings).apply()
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- apply, plan, destroy


def test_apply_then_plan_then_destroy(
    clone: Callable[..., Settings], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Infrastructure, "outputs", lambda self: None)
    infrastructure = Infrastructure(clone())
    assert not infrastructure.holds_state()
    assert infrastructure.plan() == infra.CHANGES
    capsys.readouterr()
    infrastructure.apply()
    said = capsys.readouterr().out
    assert "terraform_data.this: creation complete after 0s\n" in said
    assert "Apply complete! Resources: 1 added" in said
    assert infrastructure.holds_state()
    assert infrastructure.plan() == infra.NO_CHANGES
    infrastructure.destroy()
    assert not infrastructure.holds_state()


def test_two_workspaces_do_not_see_each_other(clone: Callable[..., Settings], tmp_path: Path) -> None:
    one, two = Infrastructure(clone()), Infrastructure(clone(SCONES_WORKSPACE="other"))
    with pytest.raises(InfrastructureFailed, match="nothing is deployed in workspace small"):
        one.apply()  # its root has none of the project's outputs
    assert one.holds_state()
    assert not two.holds_state()
    assert (tmp_path / "build/small/.terraform").is_dir()
    assert (tmp_path / "build/other/.terraform").is_dir()


def test_a_failure_ends_with_what_was_wrong_and_where_the_rest_is(clone: Callable[..., Settings]) -> None:
    settings = clone(THRESHOLD="0.995")
    with pytest.raises(InfrastructureFailed) as error:
        Infrastructure(settings).apply()
    log = settings.build_dir / "terraform.log"
    assert str(error.value) == (
        "Terraform: Resource precondition failed: A threshold of 0.995 lets nothing through: "
        f"choose a lower one. (all of it: {log})"
    )
    assert "Resource precondition failed" in log.read_text()


def test_nothing_deployed_is_one_clear_line(clone: Callable[..., Settings]) -> None:
    with pytest.raises(InfrastructureFailed, match="run `make train deploy`"):
        Infrastructure(clone()).outputs()


def test_a_remote_backend_is_refused_for_the_local_target(
    clone: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = clone()
    (tmp_path / "terraform/backend.tf").write_text('terraform {\n  backend "s3" {}\n}\n')
    with pytest.raises(InfrastructureFailed, match="use a clone without that file"):
        Infrastructure(settings).plan()


def test_only_the_first_error_is_told_and_in_one_line() -> None:
    output = """
module.x.aws_sqs_queue.this: Creating...

Warning: Something old

  with aws_x.y

Do not use it.

Error: creating SQS Queue (shop): operation error SQS: CreateQueue, StatusCode: 400, api error Bad: no

  with module.x.aws_sqs_queue.this,
  on modules/x/main.tf line 1, in resource "aws_sqs_queue" "this":
   1: resource "aws_sqs_queue" "this" {


Error: another
"""
    assert terraform.first_error(output) == (
        "creating SQS Queue (shop): operation error SQS: CreateQueue, StatusCode: 400, api error Bad: no"
    )


def test_progress_shows_what_is_done_and_what_takes_long(capsys: pytest.CaptureFixture[str]) -> None:
    for line in (
        "aws_x.y: Refreshing state... [id=1]",
        "aws_x.y: Creating...",
        "aws_x.y: Still creating... [10s elapsed]",
        "aws_x.y: Still creating... [30s elapsed]",
        "aws_x.y: Still destroying... [id=s3://b, 1m0s elapsed]",
        "aws_x.y: Creation complete after 31s [id=secret-id]",
        "Apply complete! Resources: 1 added, 0 changed, 0 destroyed.",
        "Outputs:",
    ):
        terraform.say_progress(line)
    assert capsys.readouterr().out.splitlines() == [
        "  aws_x.y: still creating... [30s elapsed]",
        "  aws_x.y: still destroying... [1m0s elapsed]",
        "  aws_x.y: creation complete after 31s",
        "Apply complete! Resources: 1 added, 0 changed, 0 destroyed.",
    ]


# ---------------------------------------------------------------- what is gone


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An AWS that holds nothing."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setattr(infra, "client", lambda settings, service: boto3.client(service, "us-east-1"))
    with mock_aws():
        yield


def variables_files(settings: Settings) -> list[str]:
    return list(Infrastructure(settings)._variables()["var_file"])


def test_a_model_whose_artifact_is_gone_is_left_out(
    clone: Callable[..., Settings], aws: None, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = clone(TARGET="aws")
    write_handoff(settings, record(), endpoint_enabled=True)
    (ours,) = variables_files(settings)
    assert json.loads(Path(ours).read_text())["model"] is None
    assert "model shop-0123456789ab is left out" in capsys.readouterr().out


def test_a_model_whose_artifact_is_there_is_handed_to_terraform(
    clone: Callable[..., Settings], aws: None
) -> None:
    settings = clone(TARGET="aws")
    write_handoff(settings, record(), endpoint_enabled=True)
    s3 = boto3.client("s3", "us-east-1")
    s3.create_bucket(Bucket="shop")
    s3.put_object(Bucket="shop", Key="training/job/output/model.tar.gz", Body=b"")
    assert variables_files(settings)[1] == str(settings.handoff_file)


def test_a_state_whose_aws_was_started_anew_counts_as_not_applied(
    clone: Callable[..., Settings], aws: None
) -> None:
    outputs = "".join(f'output "{name}" {{\n  value = "shop"\n}}\n' for name in OUTPUT_NAMES)
    settings = clone('resource "terraform_data" "this" {}\n' + outputs, TARGET="aws")
    infrastructure = Infrastructure(settings)
    infrastructure.apply()
    assert infrastructure.holds_state()
    assert not infrastructure.is_applied()
    boto3.client("s3", "us-east-1").create_bucket(Bucket="shop")
    assert infrastructure.is_applied()


def test_a_state_with_an_output_more_is_read_all_the_same(clone: Callable[..., Settings]) -> None:
    outputs = "".join(f'output "{name}" {{\n  value = "shop"\n}}\n' for name in [*OUTPUT_NAMES, "later"])
    infrastructure = Infrastructure(clone(outputs))
    infrastructure.apply()
    assert infrastructure.outputs().bucket_name == "shop"


def test_a_state_that_cannot_be_read_is_a_fault_and_not_an_empty_one(clone: Callable[..., Settings]) -> None:
    infrastructure = Infrastructure(clone())
    with pytest.raises(NothingDeployed):
        infrastructure.apply()  # its root has none of the project's outputs
    (infrastructure.settings.terraform_dir / "terraform.tfstate.d/small/terraform.tfstate").write_text(
        "{torn"
    )
    with pytest.raises(InfrastructureFailed) as caught:
        infrastructure.is_applied()
    assert not isinstance(caught.value, NothingDeployed)


def test_variables_of_another_target_in_the_shell_do_not_reach_terraform(
    clone: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CLI_ARGS_plan", "-var-file=/nowhere/at-all.json")
    monkeypatch.setenv("TF_WORKSPACE", "elsewhere")
    assert Infrastructure(clone()).plan() == infra.CHANGES


# ---------------------------------------------------------------- interrupted


def start_slow_apply(settings: Settings) -> subprocess.Popen[str]:
    """Start an apply in a process of its own and return it once its slow resource is being made."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom scones_ops.infra import Infrastructure\n"
        "from scones_ops.settings import load_settings\n"
        "try:\n    Infrastructure(load_settings({'SCONES_WORKSPACE': 'small'}, Path(sys.argv[1]))).apply()\n"
        "except KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(settings.root)], stdout=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 60
    while not (settings.terraform_dir / "begun").exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    return process


def resources(settings: Settings) -> list[str]:
    state = json.loads((settings.terraform_dir / "terraform.tfstate.d/small/terraform.tfstate").read_text())
    return sorted(resource["name"] for resource in state["resources"])


@pytest.mark.slow
def test_ctrl_c_lets_terraform_finish_and_the_next_apply_goes_on(clone: Callable[..., Settings]) -> None:
    settings = clone(SLOW_ROOT)
    process = start_slow_apply(settings)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "writes its state" in said
    assert "first" in resources(settings) and "last" not in resources(settings)
    with pytest.raises(InfrastructureFailed, match="nothing is deployed"):  # a root without the outputs
        Infrastructure(settings).apply()
    assert resources(settings) == ["first", "last", "slow"]


@pytest.mark.slow
def test_terraform_ends_in_order_even_where_its_caller_is_killed(clone: Callable[..., Settings]) -> None:
    settings = clone(SLOW_ROOT)
    process = start_slow_apply(settings)
    process.kill()
    process.communicate()
    with pytest.raises(InfrastructureFailed, match="nothing is deployed"):  # it waits for the lock
        Infrastructure(settings).apply()
    assert resources(settings) == ["first", "last", "slow"]


@pytest.mark.slow
def test_a_held_state_names_its_holder_and_the_way_out(
    clone: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = clone(SLOW_ROOT)
    process = start_slow_apply(settings)
    monkeypatch.setattr(infra, "_LOCK_TIMEOUT", "0s")
    with pytest.raises(
        InfrastructureFailed, match=r"another Terraform run holds the state .* force-unlock [0-9a-f-]{36}`"
    ):
        Infrastructure(settings).apply()
    process.communicate(timeout=60)


# ---------------------------------------------------------------- what really serves


@pytest.fixture
def serving(clone: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Check an endpoint that Terraform thinks runs `config-new`, with SageMaker giving the answer given."""
    outputs = Outputs(
        bucket_name="b", training_role_arn="r", state_machine_arn="s", batch_state_machine_arn="s",
        endpoint_name="vehicles", endpoint_config_name="config-new", model_name="m", review_queue_url="q",
        dead_letter_queue_url="q", alert_topic_arn="t", function_names={},
    )  # fmt: skip
    monkeypatch.setattr(Infrastructure, "outputs", lambda self: outputs)

    def check(status: str | None, config: str = "config-new", reason: str | None = None) -> None:
        sagemaker = boto3.client("sagemaker", region_name="us-east-1")
        monkeypatch.setattr(infra, "client", lambda settings, service: sagemaker)
        with Stubber(sagemaker) as stub:
            if status is None:
                stub.add_client_error(
                    "describe_endpoint", "ValidationException", 'Could not find endpoint "vehicles".'
                )
            else:
                answer = {
                    "EndpointName": "vehicles",
                    "EndpointArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/vehicles",
                    "EndpointConfigName": config,
                    "EndpointStatus": status,
                    "CreationTime": 0,
                    "LastModifiedTime": 0,
                }
                stub.add_response("describe_endpoint", answer | ({"FailureReason": reason} if reason else {}))
            Infrastructure(clone()).verify_endpoint()

    return check


def test_an_endpoint_in_service_with_the_new_configuration_is_well(serving: Callable[..., None]) -> None:
    serving("InService")


def test_an_update_taken_back_is_told_though_terraform_calls_it_a_success(
    serving: Callable[..., None],
) -> None:
    with pytest.raises(
        InfrastructureFailed, match=r"serves configuration config-old, not the new config-new"
    ):
        serving("InService", "config-old")


def test_an_endpoint_that_failed_is_told_with_its_reason(serving: Callable[..., None]) -> None:
    with pytest.raises(InfrastructureFailed, match=r"is Failed, not InService \(no capacity\)"):
        serving("Failed", reason="no capacity")


def test_an_endpoint_that_is_gone_is_told_with_the_command(serving: Callable[..., None]) -> None:
    with pytest.raises(InfrastructureFailed, match="is gone: bring it back with `make deploy`"):
        serving(None)
