"""What is refused when a state machine is created."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from scones_ops.local.stepfunctions_check import find_problems

TASK = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}


def problems(*, start: str = "A", **states: Any) -> list[str]:
    return [problem.code for problem in find_problems(json.dumps({"StartAt": start, "States": states}))]


def test_a_sound_definition_has_no_problems() -> None:
    assert (
        problems(
            A={
                **TASK,
                "Parameters": {"a.$": "$.b[0]", "c.$": "States.Format('{}', $.d)", "e.$": "$$.Execution.Id"},
            }
        )
        == []
    )
    assert problems(A={"Type": "Pass", "Assign": {"v.$": "$order.lines[0].id"}, "End": True}) == []


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "{}", '{"StartAt": "A"}', '{"StartAt": "A", "States": {}}']
)
def test_what_is_no_machine_is_refused(text: str) -> None:
    assert find_problems(text)


def test_transitions_must_lead_somewhere() -> None:
    assert problems(start="X", A=TASK) == ["MISSING_TRANSITION_TARGET"]
    assert problems(A={"Type": "Pass", "Next": "X"}) == ["MISSING_TRANSITION_TARGET"]
    assert problems(A={**TASK, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "X"}]}) == [
        "MISSING_TRANSITION_TARGET"
    ]
    assert problems(A={"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "X"}]}) == [
        "MISSING_TRANSITION_TARGET"
    ]


def test_a_state_that_nothing_leads_to_is_refused() -> None:
    assert problems(A=TASK, B=TASK) == ["MISSING_TRANSITION_TARGET"]


def test_a_state_needs_next_or_end_and_not_both() -> None:
    assert problems(A={"Type": "Pass"})
    assert problems(A={"Type": "Pass", "Next": "B", "End": True}, B={"Type": "Succeed"})


def test_the_states_inside_a_map_or_a_branch_are_checked_too() -> None:
    inner = {"StartAt": "I", "States": {"I": {"Type": "Pass", "Next": "X"}}}
    assert problems(A={"Type": "Map", "ItemProcessor": inner, "End": True}) == ["MISSING_TRANSITION_TARGET"]
    assert problems(A={"Type": "Parallel", "Branches": [inner], "End": True}) == ["MISSING_TRANSITION_TARGET"]


RICH = {
    "StartAt": "A",
    "States": {
        "A": {
            **TASK,
            "Parameters": {"a.$": "$.b"},
            "Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 1}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B", "ResultPath": "$.e"}],
            "Next": "C",
        },
        "B": {"Type": "Fail", "Error": "E"},
        "C": {
            "Type": "Choice",
            "Choices": [{"And": [{"Variable": "$.a", "IsNull": True}], "Next": "M"}],
            "Default": "P",
        },
        "M": {
            "Type": "Map",
            "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": True}}},
            "End": True,
        },
        "P": {
            "Type": "Parallel",
            "Branches": [{"StartAt": "I", "States": {"I": {"Type": "Wait", "Seconds": 1, "End": True}}}],
            "End": True,
        },
    },
}
del RICH["States"]["A"]["End"]  # type: ignore[attr-defined]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of every value within `value`."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)


def test_a_value_of_the_wrong_kind_anywhere_is_no_fault_of_the_check() -> None:
    assert find_problems(json.dumps(RICH)) == []
    for number in range(len(list(places(RICH)))):
        for wrong in (None, 3, "x", [], {}, [1], {"a": 1}, [[]], True):
            broken = copy.deepcopy(RICH)
            container, key = list(places(broken))[number]
            container[key] = wrong
            for problem in find_problems(json.dumps(broken)):
                assert problem.code in ("SCHEMA_VALIDATION_FAILED", "MISSING_TRANSITION_TARGET")


@pytest.mark.parametrize(
    "state",
    [
        {**TASK, "Catch": 3},
        {**TASK, "Retry": ["E"]},
        {**TASK, "Catch": [{"ErrorEquals": 3, "Next": "A"}]},
        {"Type": "Choice", "Choices": [1]},
        {"Type": "Choice", "Choices": {"a": 1}},
        {"Type": "Map", "ItemProcessor": [], "End": True},
        {"Type": "Parallel", "Branches": [None], "End": True},
        {"Type": "Pass", "Next": ["A"]},
        {"Type": ["Pass"]},
        3,
    ],
)
def test_a_malformed_state_is_a_problem_of_its_schema(state: Any) -> None:
    assert set(problems(A=state)) == {"SCHEMA_VALIDATION_FAILED"}


@pytest.mark.parametrize("path", ["$.[", "b", 3, "$..[?", ""])
def test_a_path_that_cannot_be_read_is_refused(path: Any) -> None:
    assert problems(A={"Type": "Pass", "Parameters": {"a.$": path}, "End": True}) == [
        "SCHEMA_VALIDATION_FAILED"
    ]


def test_a_catch_all_stands_alone_and_last() -> None:
    first = [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["E"]}]
    assert problems(A={**TASK, "Retry": first}) == ["SCHEMA_VALIDATION_FAILED"]
    assert problems(A={**TASK, "Retry": [{"ErrorEquals": ["States.ALL", "E"]}]}) == [
        "SCHEMA_VALIDATION_FAILED"
    ]
