"""What a rule's target gets: the whole event, a part of it, a constant, or a text made from a template.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.\-]+)>")
_PATH_PART = re.compile(r"\.([A-Za-z0-9_\-]+)|\[(\d+)\]|\['([^']+)'\]")


class InputInvalid(Exception):
    """The transformed input is not what the target takes."""


def target_input(target: dict[str, Any], event: dict[str, Any], rule: Any) -> str:
    """Return the text that the target gets. Raises InputInvalid if a JSON template gives no JSON."""
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath"):
        return json.dumps(select(event, target["InputPath"]))
    transformer = target.get("InputTransformer")
    if not transformer:
        return json.dumps(event)
    values = {
        name: select(event, path)
        for name, path in (transformer.get("InputPathsMap") or {}).items()
        if exists(event, path)
    }
    values |= {
        "aws.events.rule-arn": rule.arn,
        "aws.events.rule-name": rule.name,
        "aws.events.event": {name: value for name, value in event.items() if name != "detail"},
        "aws.events.event.json": event,
        "aws.events.event.ingestion-time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return fill(transformer["InputTemplate"], values)


def fill(template: str, values: dict[str, Any]) -> str:
    """Return the template with its <placeholders> replaced.

    Outside of quotes a value is written as JSON, within them as it stands. A JSON template must give JSON.
    """
    text, at, quoted = "", 0, False
    for match in _PLACEHOLDER.finditer(template):
        between = template[at : match.start()]
        quoted ^= len(re.findall(r'(?<!\\)"', between)) % 2 == 1
        value = values.get(match.group(1))
        text += between + (_within_quotes(value) if quoted else json.dumps(value))
        at = match.end()
    text += template[at:]
    if template.lstrip().startswith(("{", "[")):
        try:
            json.loads(text)
        except ValueError as error:
            raise InputInvalid(f"the input template gives no JSON ({error}): {text}") from None
    return text


def select(event: dict[str, Any], path: str) -> Any:
    """Return what the JSON path (`$.detail.object.key`) names in the event; None if nothing is there."""
    found: Any = event
    for dotted, index, quoted in _PATH_PART.findall(path.removeprefix("$")):
        try:
            found = found[int(index)] if index else found[dotted or quoted]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def exists(event: dict[str, Any], path: str) -> bool:
    return select(event, path) is not None


def _within_quotes(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return json.dumps(text, ensure_ascii=False)[1:-1]
