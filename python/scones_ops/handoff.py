"""The handoff from training to Terraform: one JSON file, checked against its schema both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from scones_ops.errors import HandoffInvalid
from scones_ops.files import write_json
from scones_ops.settings import Settings


@dataclass(frozen=True)
class ModelRecord:
    """A trained model that passed the gate.

    `data_url` is the model.tar.gz in S3 and `sha256` its digest; `image_uri` is the container that serves it;
    `input_size` is width and height in pixels; `metrics` are plain numbers by name; `trained_at` is ISO 8601
    in UTC; `dataset` holds `dataset_id`, `generated` and `source`.
    """

    name: str
    data_url: str
    image_uri: str
    sha256: str
    training_job: str
    classes: tuple[str, ...]
    input_size: tuple[int, int]
    metrics: Mapping[str, float]
    trained_at: str
    dataset: Mapping[str, Any]

    @property
    def generated(self) -> bool:
        """True where the model was trained on drawn pictures."""
        return bool(self.dataset["generated"])

    def to_json(self) -> dict[str, Any]:
        """The record as it stands in the handoff file and in its manifest."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Handoff:
    """What Terraform is to serve, and whether the endpoint is to run."""

    model: ModelRecord
    endpoint_enabled: bool


def write_handoff(settings: Settings, record: ModelRecord, endpoint_enabled: bool) -> Path:
    """Write the target's handoff file, whole or not at all, and return its path.

    Raises HandoffInvalid where the record does not fit the schema; the old file then stays.
    """
    document = {"model": record.to_json(), "endpoint_enabled": endpoint_enabled}
    path = settings.handoff_file
    fault = _fault(document, _schema())
    if fault:
        raise HandoffInvalid(f"the model cannot be handed over: {fault}; train again with `make train`")
    return write_json(path, document)


def read_handoff(settings: Settings) -> Handoff | None:
    """Return what the target's handoff file says, None where no model was handed over yet.

    Raises HandoffInvalid where the file is damaged.
    """
    path = settings.handoff_file
    mend = "write it again with `make train` or `scones-ops models use NAME`"
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise HandoffInvalid(f"{path} is not valid JSON ({error}): {mend}") from None
    fault = _fault(document, _schema())
    if fault:
        raise HandoffInvalid(f"{path} is not valid: {fault}; {mend}")
    return Handoff(_record(document["model"]), document["endpoint_enabled"])


def endpoint_wanted(settings: Settings) -> bool:
    """Whether a model handed over now is to be served: as the file says, and yes where it says nothing."""
    try:
        handoff = read_handoff(settings)
    except HandoffInvalid:
        return True
    return handoff.endpoint_enabled if handoff else True


def read_record(document: object) -> ModelRecord:
    """Return the record in a parsed manifest. Raises HandoffInvalid where it does not fit the schema."""
    fault = _fault(document, {"$defs": _schema()["$defs"], "$ref": "#/$defs/model"})
    if fault or not isinstance(document, dict):
        raise HandoffInvalid(f"the model's manifest is not valid: {fault}")
    return _record(document)


def _record(document: Mapping[str, Any]) -> ModelRecord:
    width, height = document["input_size"]
    return ModelRecord(
        **{**document, "classes": tuple(document["classes"]), "input_size": (int(width), int(height))}
    )


@cache
def _schema() -> dict[str, Any]:
    text = resources.files("scones_ops").joinpath("schemas/handoff.schema.json").read_text()
    schema: dict[str, Any] = json.loads(text)
    return schema


def _fault(document: object, schema: Mapping[str, Any]) -> str | None:
    """Return what is wrong with `document` in a few words, None where nothing is."""
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(document))
    return f"{error.json_path}: {error.message}" if error else None
