"""The requests of both algorithms, and the containers they name."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sagemaker_training import mapping
from training_parts import CLASSES, dataset, settings_for

from scones_ops.container.train import arguments
from scones_ops.errors import TrainingFailed
from scones_ops.settings import Settings
from scones_ops.training import builtin, check_algorithm, job

URI = "s3://scones-test/datasets/0123456789ab"
ROLE = "arn:aws:iam::123456789012:role/scones-unlimited-training"


def transfer(settings: Settings, folder: Path) -> job.Request:
    return job.transfer_request(
        settings,
        name="job-1",
        dataset_uri=URI,
        dataset=dataset(folder),
        bucket="scones-test",
        role_arn=ROLE,
        source_uri="s3://scones-test/training/source/abc/sourcedir.tar.gz",
        source_version="abc",
        image_uri="image",
    )


def test_a_job_name_is_unique_and_short_enough(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, SCONES_PREFIX="p" * 32)
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    names = {job.job_name(settings, now) for _ in range(20)}
    assert len(names) > 1
    assert all(re.fullmatch(r"p{32}-20260102-030405-[0-9a-f]{4}", name) and len(name) <= 63 for name in names)


def test_hyperparameters_reach_the_script_as_they_were_meant(tmp_path: Path) -> None:
    request = transfer(settings_for(tmp_path, SEED="7", EPOCHS="3"), tmp_path)
    # What sagemaker-training does: each value read as JSON, then written as options.
    values = {key: json.loads(value) for key, value in request["hyper_parameters"].items()}
    args = arguments(mapping.to_cmd_args({k: v for k, v in values.items() if not k.startswith("sagemaker_")}))
    assert args.classes == list(CLASSES)
    assert (args.seed, args.epochs, args.code_version) == (7, 3, "abc")
    assert args.dataset == dataset(tmp_path).describe()
    assert all(len(value) <= 2500 for value in request["hyper_parameters"].values()), "AWS's limit"


def test_without_a_setting_the_script_chooses_its_epochs(tmp_path: Path) -> None:
    assert "epochs" not in transfer(settings_for(tmp_path), tmp_path)["hyper_parameters"]


def test_a_channel_of_pictures_does_not_take_in_the_list_beside_it(tmp_path: Path) -> None:
    request = transfer(settings_for(tmp_path), tmp_path)
    places = {
        channel["channel_name"]: channel["data_source"]["s3_data_source"]["s3_uri"]
        for channel in request["input_data_config"]
    }
    assert places == {
        "train": f"{URI}/train/",
        "validation": f"{URI}/validation/",
        "train_lst": f"{URI}/train.lst",
        "validation_lst": f"{URI}/validation.lst",
    }


def test_the_test_pictures_are_no_channel(tmp_path: Path) -> None:
    assert "test" not in json.dumps(transfer(settings_for(tmp_path), tmp_path)["input_data_config"]).replace(
        "scones-test", ""
    )


def test_one_machine_trains_because_the_script_shares_no_work_out(tmp_path: Path) -> None:
    assert transfer(settings_for(tmp_path), tmp_path)["resource_config"]["instance_count"] == 1


def test_the_metric_definitions_read_what_the_script_prints(tmp_path: Path) -> None:
    line = "validation:accuracy=0.9512 validation:loss=0.1400 validation:calibration_error=1e-05"
    found = {
        item["name"]: match[1]
        for item in transfer(settings_for(tmp_path), tmp_path)["algorithm_specification"][
            "metric_definitions"
        ]
        if (match := re.search(item["regex"], line))
    }
    assert found == {
        "validation:accuracy": "0.9512",
        "validation:loss": "0.1400",
        "validation:calibration_error": "1e-05",
    }


def test_on_spot_the_script_keeps_checkpoints_where_sagemaker_saves_them(tmp_path: Path) -> None:
    request = transfer(settings_for(tmp_path, TRAINING_SPOT="true"), tmp_path)
    assert request["enable_managed_spot_training"] is True
    assert (
        json.loads(request["hyper_parameters"]["checkpoint_dir"])
        == request["checkpoint_config"]["local_path"]
    )
    limits = request["stopping_condition"]
    assert limits["max_wait_time_in_seconds"] >= limits["max_runtime_in_seconds"]
    assert "enable_managed_spot_training" not in transfer(settings_for(tmp_path), tmp_path)


def test_the_builtin_request_is_the_one_image_classification_takes(tmp_path: Path) -> None:
    request = builtin.builtin_request(
        settings_for(tmp_path, TARGET="aws", ALGORITHM="builtin"),
        name="job-1",
        dataset_uri=URI,
        dataset=dataset(tmp_path),
        bucket="scones-test",
        role_arn=ROLE,
        image_uri="image",
    )
    hyperparameters = request["hyper_parameters"]
    assert hyperparameters["image_shape"] == "3,32,32"
    assert (hyperparameters["num_classes"], hyperparameters["num_training_samples"]) == ("2", "4")
    assert (hyperparameters["num_layers"], hyperparameters["use_pretrained_model"]) == ("18", "1")
    assert {channel["channel_name"] for channel in request["input_data_config"]} == {
        "train", "validation", "train_lst", "validation_lst",
    }  # fmt: skip
    assert {channel["content_type"] for channel in request["input_data_config"]} == {"application/x-image"}
    assert "metric_definitions" not in request["algorithm_specification"], "AWS refuses them for its own ones"


def test_builtin_is_refused_locally_in_one_line_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="TARGET=aws") as caught:
        check_algorithm(settings_for(tmp_path, ALGORITHM="builtin"))
    assert "\n" not in str(caught.value)
    check_algorithm(settings_for(tmp_path, ALGORITHM="builtin", TARGET="aws"))
    check_algorithm(settings_for(tmp_path))


def test_the_containers_are_aws_own_for_the_instance_and_region(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, REGION="eu-central-1", TRAINING_INSTANCE_TYPE="ml.m5.xlarge")
    training, serving = job.pytorch_image(settings, "training"), job.pytorch_image(settings, "inference")
    assert training.endswith(f"eu-central-1.amazonaws.com/pytorch-training:{job.PYTORCH_VERSION}-cpu-py312")
    assert serving.endswith(f"eu-central-1.amazonaws.com/pytorch-inference:{job.PYTORCH_VERSION}-cpu-py312")
    assert "-gpu-" in job.pytorch_image(settings_for(tmp_path), "training")
    assert "image-classification" in job.image(settings, builtin.FRAMEWORK)


def test_a_region_without_the_container_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="REGION") as caught:
        job.pytorch_image(settings_for(tmp_path, REGION="mars-north-1"), "training")
    assert len(str(caught.value)) < 300
