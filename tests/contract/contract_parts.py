"""Loads handlers, checks events against the schemas, makes pictures."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "contract-pictures"
ENDPOINT = "contract-endpoint"


def load_handler(name: str) -> ModuleType:
    """Return lambdas/<name>/handler.py as a module, with the path that its zip gives it."""
    for folder in (ROOT / "lambdas", ROOT / "lambdas" / name):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(f"handler_{name}", ROOT / "lambdas" / name / "handler.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def validate(event: object, schema: str, part: str | None = None) -> None:
    """Raise jsonschema.ValidationError where `event` breaks the schema, or `part` of its $defs."""
    document = json.loads((ROOT / f"python/scones_ops/schemas/{schema}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(document)
    if part:
        document = {"$ref": f"#/$defs/{part}", "$defs": document["$defs"]}
    jsonschema.validate(event, document, cls=jsonschema.Draft202012Validator)


def picture_bytes(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()
