"""Reads the events that travel between the functions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from shared.errors import EventInvalid


def read_body(event: object) -> Mapping[str, Any]:
    """Return the body of `event`: of an answer (`body` as object or as JSON text), or a bare body itself.

    Raises EventInvalid.
    """
    if not isinstance(event, Mapping):
        raise EventInvalid(f"the event is {_kind(event)}: send a JSON object")
    body = event.get("body", event)
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError as error:
            raise EventInvalid(f"the event's body is text, but not JSON ({error})") from None
    if not isinstance(body, Mapping):
        raise EventInvalid(f"the event's body is {_kind(body)}: send a JSON object")
    return body


def read_text(body: Mapping[str, Any], name: str) -> str:
    """Return the field `name`, text that is not empty. Raises EventInvalid."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        found = "missing" if name not in body else "empty" if value == "" else _kind(value)
        raise EventInvalid(f"{name} is {found}: send it as text")
    return value


def is_score(value: object) -> bool:
    """Return whether `value` can be a probability: a finite number from 0 to 1."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value <= 1
    )


def _kind(value: object) -> str:
    names = {
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)
