"""What SageMaker refuses, without a server."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.sagemaker.exceptions import ValidationError

from scones_ops.local import sagemaker_rules as rules

REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"


def refusal(operation: str, request: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        rules.check_request(operation, request)
    return str(caught.value.message)


def test_a_missing_required_member_is_named() -> None:
    assert (
        "Value null at 'endpointConfigName' failed to satisfy constraint: Member must not be null"
        in refusal("CreateEndpoint", {"EndpointName": "e"})
    )


def test_all_faults_are_counted_and_told_together() -> None:
    message = refusal("CreateEndpoint", {"EndpointName": "under_score"})
    assert message.startswith("2 validation errors detected: ")
    assert "regular expression pattern" in message


def test_faults_deep_in_lists_are_found() -> None:
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m99.large"}
    message = refusal("CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": [variant]})
    assert "'productionVariants.1.member.instanceType'" in message and "enum value set" in message


def test_bounds_of_numbers_and_lengths_are_kept() -> None:
    message = refusal("DeleteEndpoint", {"EndpointName": "x" * 64})
    assert "less than or equal to 63" in message
    capture = {"InitialSamplingPercentage": 101, "DestinationS3Uri": "s3://b", "CaptureOptions": [
        {"CaptureMode": "Input"}]}  # fmt: skip
    request = {
        "EndpointConfigName": "c",
        "ProductionVariants": [{"VariantName": "v", "ModelName": "m"}],
        "DataCaptureConfig": capture,
    }
    assert "less than or equal to 100" in refusal("CreateEndpointConfig", request)


def test_a_good_request_passes() -> None:
    rules.check_request("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"})


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (f"{REGISTRY}/pytorch-training:2.6.0-cpu-py312", "pytorch-training"),
        (f"{REGISTRY}/pytorch-training@sha256:{'0' * 64}", "pytorch-training"),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/image-classification:1", "image-classification"),
    ],
)
def test_an_image_is_known_by_its_repository(image: str, name: str) -> None:
    assert rules.image_repository(image) == name


def test_an_image_that_cannot_run_here_is_refused_in_one_line_that_names_the_way_out() -> None:
    image = "811284229777.dkr.ecr.us-east-1.amazonaws.com/image-classification:1"
    with pytest.raises(ValidationError) as caught:
        rules.check_training_image({"TrainingImage": image})
    message = str(caught.value.message)
    assert "image-classification" in message and "\n" not in message
    assert "ALGORITHM=transfer" in message and "TARGET=aws" in message
    with pytest.raises(ValidationError):
        rules.check_serving_image(image)
    rules.check_training_image({"TrainingImage": f"{REGISTRY}/pytorch-training:2.6.0-cpu-py312"})
    rules.check_serving_image(f"{REGISTRY}/pytorch-inference:2.6.0-cpu-py312")


class _S3Refusing:
    def __init__(self, code: str) -> None:
        self.code = code

    def head_object(self, **request: str) -> None:
        raise ClientError({"Error": {"Code": self.code, "Message": "m"}}, "HeadObject")


@pytest.mark.parametrize(
    ("code", "words"), [("404", "Could not find model data at"), ("403", "Could not access model data at")]
)
def test_an_artifact_the_role_cannot_have_is_refused_with_the_cause(
    monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    monkeypatch.setattr(rules, "role_client", lambda *_: _S3Refusing(code))
    with pytest.raises(ValidationError) as caught:
        rules.check_model_data("arn:aws:iam::123456789012:role/r", "s3://b/model.tar.gz")
    assert str(caught.value.message).startswith(words)


def test_requirements_are_met_by_what_is_installed_or_named(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    assert rules.unmet_requirements(file) == []
    numpy = importlib.metadata.version("numpy")
    file.write_text(
        f"# a comment\nnumpy=={numpy}\nPillow>=9  # pictures\n\nno-such-package-here>=1\nnumpy<1\n"
        'never-needed; python_version < "3"\n--index-url https://example.invalid\n'
    )
    assert rules.unmet_requirements(file) == [
        "no-such-package-here>=1",
        f"numpy<1 (installed: {numpy})",
        "--index-url https://example.invalid",
    ]
