"""What SageMaker refuses, in its own words; and what only this local AWS must refuse, in ours.

Messages between double quotes that name an ARN follow the service's own, as seen in its responses.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from moto.sagemaker.exceptions import ValidationError
from packaging.requirements import InvalidRequirement, Requirement

from scones_ops.local.context import CONTEXT
from scones_ops.local.role_clients import role_client
from scones_ops.local.roles import can_be_assumed_by
from scones_ops.local.s3_uris import split_s3_uri

SESSION_NAME = "SageMaker"
TRAINING_REPOSITORY = "pytorch-training"
SERVING_REPOSITORY = "pytorch-inference"


def arn(kind: str, name: str) -> str:
    """Return the ARN of a SageMaker resource, such as `endpoint`, of this account and region."""
    return f"arn:aws:sagemaker:{CONTEXT.region}:{CONTEXT.account}:{kind}/{name}"


@cache
def _service_model() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker")


def check_request(operation: str, params: dict[str, Any]) -> None:
    """Raise ValidationError unless `params` keep the operation's model: required, enum, pattern, bounds."""
    shape = _service_model().operation_model(operation).input_shape
    faults = [
        f"Value {_quoted(value)} at '{where}' failed to satisfy constraint: {constraint}"
        for where, value, constraint in _faults(shape, params, "")
    ]
    if faults:
        plural = "" if len(faults) == 1 else "s"
        raise ValidationError(f"{len(faults)} validation error{plural} detected: {'; '.join(faults)}")


def _quoted(value: Any) -> str:
    return "null" if value is None else f"'{value}'"


def _faults(shape: Any, value: Any, where: str) -> Iterator[tuple[str, Any, str]]:
    """Yield (place, value, broken constraint) for each fault in `value` against a botocore shape."""
    prefix = f"{where}." if where else ""
    if shape.type_name == "structure":
        for name in shape.required_members:
            if value.get(name) is None:
                yield prefix + _lower_first(name), None, "Member must not be null"
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _faults(member, value[name], prefix + _lower_first(name))
    elif shape.type_name == "list":
        yield from _bound_faults(shape, value, len(value), where, "length")
        for number, item in enumerate(value, start=1):
            yield from _faults(shape.member, item, f"{prefix}{number}.member")
    elif shape.type_name == "string":
        if "enum" in shape.metadata and value not in shape.metadata["enum"]:
            allowed = ", ".join(shape.metadata["enum"])
            yield where, value, f"Member must satisfy enum value set: [{allowed}]"
        yield from _bound_faults(shape, value, len(value), where, "length")
        pattern = _compiled(shape.metadata.get("pattern"))
        if pattern and not pattern.fullmatch(value):
            yield where, value, f"Member must satisfy regular expression pattern: {pattern.pattern}"
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _bound_faults(shape, value, value, where, "value")


def _bound_faults(
    shape: Any, value: Any, size: float, where: str, noun: str
) -> Iterator[tuple[str, Any, str]]:
    words = {"length": "have length ", "value": "have value "}[noun]
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield where, value, f"Member must {words}greater than or equal to {low}"
    if high is not None and size > high:
        yield where, value, f"Member must {words}less than or equal to {high}"


@cache
def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    r"""Return the pattern compiled, or None where Python does not know its syntax (`\p{L}`)."""
    if pattern is None:
        return None
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return None


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def check_role(role_arn: str) -> None:
    """Raise ValidationError unless the role exists and trusts sagemaker.amazonaws.com."""
    if not can_be_assumed_by(CONTEXT.account, role_arn, "sagemaker.amazonaws.com"):
        raise ValidationError(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )


def image_repository(image_uri: str) -> str:
    """Return the repository's name in a container image's address, without registry, tag and digest."""
    return image_uri.split("@")[0].rsplit("/", 1)[-1].split(":")[0]


def check_training_image(algorithm: dict[str, Any]) -> None:
    """Raise ValidationError unless the algorithm is a container this local AWS can stand in for."""
    image = algorithm.get("TrainingImage")
    if not image and not algorithm.get("AlgorithmName"):
        raise ValidationError(
            "Either AlgorithmName or TrainingImage must be specified in AlgorithmSpecification."
        )
    name = image_repository(image) if image else algorithm["AlgorithmName"]
    if name != TRAINING_REPOSITORY:
        raise ValidationError(
            f"the local AWS cannot run the container image {name}: it trains with {TRAINING_REPOSITORY} "
            "only; use ALGORITHM=transfer, or TARGET=aws"
        )


def check_serving_image(image_uri: str) -> None:
    """Raise ValidationError unless the model's image is one this local AWS can stand in for."""
    name = image_repository(image_uri)
    if name != SERVING_REPOSITORY:
        raise ValidationError(
            f"the local AWS cannot run the container image {name}: it serves with {SERVING_REPOSITORY} "
            "only; use ALGORITHM=transfer, or TARGET=aws"
        )


def refuse_locally(what: str) -> ValidationError:
    """Return the error for something AWS does and this local AWS does not."""
    return ValidationError(f"the local AWS does not do {what}: leave it out, or use TARGET=aws")


def check_input_objects(role_arn: str, uri: str) -> None:
    """Raise ValidationError unless the role sees at least one object under an S3 prefix."""
    bucket, prefix = split_s3_uri(uri)
    hint = (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the '
        f"bucket exists in the selected region ({CONTEXT.region}), that objects exist under that S3 prefix, "
        f'and that the role "{role_arn}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )
    try:
        found = role_client("s3", role_arn, SESSION_NAME).list_objects_v2(
            Bucket=bucket, Prefix=prefix, MaxKeys=1
        )
    except ClientError as error:
        raise ValidationError(f"{hint} Error message from S3: {error.response['Error']['Message']}") from None
    if not found.get("KeyCount"):
        raise ValidationError(hint)


def check_model_data(role_arn: str, url: str) -> None:
    """Raise ValidationError unless the role can read the model's artifact."""
    bucket, key = split_s3_uri(url)
    try:
        role_client("s3", role_arn, SESSION_NAME).head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NoSuchBucket"):
            raise ValidationError(f"Could not find model data at {url}.") from None
        raise ValidationError(
            f'Could not access model data at {url}. Please ensure that the role "{role_arn}" exists and that '
            'its trust relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that '
            f"the object is located in {CONTEXT.region}."
        ) from None


def unmet_requirements(file: Path) -> list[str]:
    """Return the lines of a requirements file that this Python environment does not satisfy.

    A line that is an option or an address counts as not satisfied: nothing here could install it.
    """
    if not file.exists():
        return []
    unmet = []
    for line in file.read_text().splitlines():
        text = line.split(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        try:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate():
                continue
            installed = importlib.metadata.version(requirement.name)
        except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
            unmet.append(text)
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            unmet.append(f"{text} (installed: {installed})")
    return unmet
