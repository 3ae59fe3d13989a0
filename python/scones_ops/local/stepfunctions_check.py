"""Finds what AWS would refuse in a state machine's definition, beyond its syntax.

Moto's grammar takes states that lead nowhere and targets that do not exist; AWS refuses them when the machine
is created. Codes: https://docs.aws.amazon.com/step-functions/latest/apireference/API_ValidateStateMachineDefinition.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonpath_ng.ext.parser import parse as parse_path

STATE_TYPES = ("Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map")
# States after which the flow does not go on by their own Next or End.
_WITHOUT_NEXT = ("Choice", "Succeed", "Fail")


@dataclass(frozen=True)
class Problem:
    """One reason to refuse a definition: AWS's code, its message, and where (a JSON pointer)."""

    code: str
    message: str
    location: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message} at {self.location}"


def find_problems(definition: str) -> list[Problem]:
    """Return the problems of the definition (JSON text), none if AWS would take its structure."""
    try:
        machine = json.loads(definition)
    except ValueError as error:
        return [Problem("INVALID_JSON_DESCRIPTION", str(error), "/")]
    if not isinstance(machine, dict):
        return [Problem("INVALID_JSON_DESCRIPTION", "The definition is not a JSON object", "/")]
    return list(_check_machine(machine, ""))


def _check_machine(machine: dict[str, Any], where: str) -> Iterator[Problem]:
    states = machine.get("States")
    if not isinstance(states, dict) or not states:
        yield Problem(
            "SCHEMA_VALIDATION_FAILED",
            "The field 'States' is required and cannot be empty",
            f"{where}/States",
        )
        return
    start = machine.get("StartAt")
    if start is None:
        yield Problem("SCHEMA_VALIDATION_FAILED", "The field 'StartAt' is required", f"{where}/StartAt")
        return
    if not isinstance(start, str) or start not in states:
        yield Problem("MISSING_TRANSITION_TARGET", f"Missing 'StartAt' target: {start}", f"{where}/StartAt")
        return
    malformed = [
        problem for name, state in states.items() for problem in _check_shape(state, f"{where}/States/{name}")
    ]
    if malformed:
        yield from malformed
        return
    for name, state in states.items():
        yield from _check_state(name, state, states, f"{where}/States/{name}")
    reached = _reachable(start, states)
    for name in states:
        if name not in reached:
            yield Problem(
                "MISSING_TRANSITION_TARGET", f'State "{name}" is not reachable.', f"{where}/States/{name}"
            )


def _check_shape(state: Any, where: str) -> Iterator[Problem]:
    """Yield a problem for each field whose value is of a kind that the other checks could not read."""
    if not isinstance(state, dict) or state.get("Type") not in STATE_TYPES:
        yield Problem(
            "SCHEMA_VALIDATION_FAILED",
            "The field 'Type' must be one of the types of a state",
            f"{where}/Type",
        )
        return
    for field, value in state.items():
        if field in ("Next", "Default", "Resource") and not isinstance(value, str):
            yield Problem("SCHEMA_VALIDATION_FAILED", "Expected value of type String", f"{where}/{field}")
        if field in ("ItemProcessor", "Iterator") and not isinstance(value, dict):
            yield Problem("SCHEMA_VALIDATION_FAILED", "Expected value of type Object", f"{where}/{field}")
        if field in ("Catch", "Retry", "Choices", "Branches"):
            yield from _check_objects(value, f"{where}/{field}")


def _check_objects(value: Any, where: str) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield Problem("SCHEMA_VALIDATION_FAILED", "Expected value of type Array", where)
        return
    for index, rule in enumerate(value):
        if not isinstance(rule, dict):
            yield Problem("SCHEMA_VALIDATION_FAILED", "Expected value of type Object", f"{where}[{index}]")
            continue
        if not isinstance(rule.get("Next", ""), str):
            yield Problem(
                "SCHEMA_VALIDATION_FAILED", "Expected value of type String", f"{where}[{index}]/Next"
            )
        if not isinstance(rule.get("ErrorEquals", []), list):
            message = "Expected value of type Array"
            yield Problem("SCHEMA_VALIDATION_FAILED", message, f"{where}[{index}]/ErrorEquals")


def _check_state(name: str, state: dict[str, Any], states: dict[str, Any], where: str) -> Iterator[Problem]:
    if len(name) > 80:
        yield Problem("SCHEMA_VALIDATION_FAILED", "The name of a state has at most 80 characters", where)
    kind = state["Type"]
    if kind not in _WITHOUT_NEXT and ("Next" in state) == bool(state.get("End")):
        yield Problem("SCHEMA_VALIDATION_FAILED", "A state needs either 'Next' or 'End', not both", where)
    if kind == "Choice" and not state.get("Choices"):
        yield Problem("SCHEMA_VALIDATION_FAILED", "A Choice state needs 'Choices'", f"{where}/Choices")
    if kind == "Task" and not str(state.get("Resource", "")).startswith("arn:"):
        yield Problem("SCHEMA_VALIDATION_FAILED", "Value is not a valid resource ARN", f"{where}/Resource")
    for field, target in _targets(state):
        if target not in states:
            yield Problem(
                "MISSING_TRANSITION_TARGET",
                f"Missing '{field.split('/')[-1]}' target: {target}",
                f"{where}/{field}",
            )
    for catcher in state.get("Catch", []):
        yield from _check_error_names(catcher, state.get("Catch", []), f"{where}/Catch")
    for retrier in state.get("Retry", []):
        yield from _check_error_names(retrier, state.get("Retry", []), f"{where}/Retry")
    for field, path in _paths(state):
        if not _is_path(path):
            message = "The value must be a valid JSONPath or a valid intrinsic function call"
            yield Problem("SCHEMA_VALIDATION_FAILED", f"{message}: {path!r}", f"{where}/{field}")
    for field, machine in _inner_machines(state):
        yield from _check_machine(machine, f"{where}/{field}")


def _check_error_names(rule: dict[str, Any], rules: list[dict[str, Any]], where: str) -> Iterator[Problem]:
    names = rule.get("ErrorEquals", [])
    if not names:
        yield Problem("SCHEMA_VALIDATION_FAILED", "The field 'ErrorEquals' is required", where)
    if "States.ALL" in names and (len(names) > 1 or rule is not rules[-1]):
        yield Problem("SCHEMA_VALIDATION_FAILED", "States.ALL must appear alone and in the last rule", where)


def _paths(value: Any, field: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a state that hold a path (`name.$`); inner machines are checked apart."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, f"{field}[{index}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            where = f"{field}/{name}" if field else name
            if name.endswith(".$"):
                yield where, item
            elif name not in ("Branches", "ItemProcessor", "Iterator", "Result"):
                yield from _paths(item, where)


def _is_path(text: Any) -> bool:
    """Return whether the text is a path that can be read, or an intrinsic call (checked by the parser)."""
    if not isinstance(text, str):
        return False
    if text.startswith("States."):
        return True
    if not text.startswith("$"):
        return False
    path = text.removeprefix("$") if text.startswith("$$") else text
    if not path.startswith(("$.", "$[")) and path != "$":
        return re.fullmatch(r"\$[A-Za-z_][A-Za-z0-9_]*([.\[].*)?", path) is not None
    try:
        parse_path(path)
    except Exception:
        # Its lexer and parser raise kinds without a common base; each means "this is no path".
        return False
    return True


def _targets(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for index, rule in enumerate(state.get("Choices", [])):
        if "Next" in rule:
            yield f"Choices[{index}]/Next", rule["Next"]
    for index, rule in enumerate(state.get("Catch", [])):
        if "Next" in rule:
            yield f"Catch[{index}]/Next", rule["Next"]


def _inner_machines(state: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, branch in enumerate(state.get("Branches", [])):
        yield f"Branches[{index}]", branch
    for field in ("ItemProcessor", "Iterator"):
        if field in state:
            yield field, state[field]


def _reachable(start: str, states: dict[str, Any]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in reached or name not in states:
            continue
        reached.add(name)
        waiting += [target for _, target in _targets(states[name])]
    return reached
