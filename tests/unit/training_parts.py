"""What the training tests share: a small data set on paper, a record, a tar as a training job leaves it."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scones_ops.data import Dataset, Picture, Source
from scones_ops.handoff import ModelRecord
from scones_ops.settings import Settings, load_settings

CLASSES = ("bicycle", "motorcycle")


def settings_for(folder: Path, **environment: str) -> Settings:
    """The project's settings, with everything built in `folder`."""
    return load_settings({"SCONES_BUILD": str(folder / "build"), **environment})


def dataset(folder: Path, *, kind: str = "archive") -> Dataset:
    """Four training and two validation pictures; no file is written."""
    pictures = tuple(
        Picture(path=f"{split}/{CLASSES[label]}_{i}.png", label=label, sha256="0" * 64, split=split)
        for split, count in (("train", 2), ("validation", 1))
        for label in (0, 1)
        for i in range(count)
    )
    source = Source(kind=kind, name="pictures.tar.gz", sha256="1" * 64, size=10)
    return Dataset(folder, "0123456789ab", CLASSES, source, pictures)


def record(**changes: Any) -> ModelRecord:
    """A record that fits the schema, with `changes`."""
    fields: dict[str, Any] = {
        "name": "scones-unlimited-aaaaaaaaaaaa",
        "data_url": "s3://scones-test/training/job-1/output/model.tar.gz",
        "image_uri": "123.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312",
        "sha256": "a" * 64,
        "training_job": "job-1",
        "classes": CLASSES,
        "input_size": (32, 32),
        "metrics": {"validation_accuracy": 0.95, "validation_pictures": 80.0},
        "trained_at": "2026-01-02T03:04:05Z",
        "dataset": {"dataset_id": "0123456789ab", "generated": False, "source": {"kind": "archive"}},
    }
    return ModelRecord(**{**fields, **changes})


def model_tar(facts: Mapping[str, Any] | None) -> bytes:
    """A model.tar.gz holding model.json with `facts`, or only another file."""
    files = {"model.onnx": b"onnx"} | ({"model.json": json.dumps(facts).encode()} if facts else {})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def facts(*, right: int = 76, of: int = 80, calibration_error: float = 0.03) -> dict[str, Any]:
    """A model.json as container/train.py writes it, as far as the outside reads it."""
    return {
        "classes": list(CLASSES),
        "input_size": [32, 32],
        "metrics": {
            "validation_accuracy": right / of,
            "validation_pictures": of,
            "validation_calibration_error": calibration_error,
        },
    }
