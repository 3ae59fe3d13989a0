"""What is remembered of executions, and for how long."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from scones_ops.local import stepfunctions_executions
from scones_ops.local.stepfunctions_executions import Executions


def execution(name: str, *, held: int = 10, status: str = "SUCCEEDED") -> Any:
    events = [{"id": 1, "taskSucceededEventDetails": {"output": "x" * held}}]
    manager = SimpleNamespace(get_event_history=lambda: events)
    worker = SimpleNamespace(env=SimpleNamespace(event_manager=manager))
    machine = SimpleNamespace(arn="machine")
    return SimpleNamespace(exec_arn=name, status=status, exec_worker=worker, state_machine=machine)


def test_only_the_newest_histories_are_kept_once_they_hold_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepfunctions_executions, "KEPT_HISTORY_BYTES", 250)
    kept = Executions()
    made = [execution(str(number), held=100) for number in range(4)]
    for one in made:
        kept.add(one, SimpleNamespace(executions=[one]))
        kept.ended(one)
    assert [one.exec_worker.env is None for one in made] == [True, True, False, False]
    assert all(kept.get(str(number)) is made[number] for number in range(4))


def test_the_oldest_finished_execution_goes_and_a_running_one_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepfunctions_executions, "KEPT_EXECUTIONS", 2)
    kept = Executions()
    machine = SimpleNamespace(executions=[])
    for name, status in (("a", "SUCCEEDED"), ("b", "RUNNING"), ("c", "SUCCEEDED"), ("d", "SUCCEEDED")):
        one = execution(name, status=status)
        machine.executions.append(one)
        kept.add(one, machine)
    assert kept.get("a") is None and kept.get("b") is not None
    assert kept.count_running() == 1


def test_a_deleted_machine_takes_its_executions_with_it() -> None:
    kept = Executions()
    one = execution("a")
    kept.add(one, SimpleNamespace(executions=[one]))
    assert kept.forget_machine("machine") == [one]
    assert kept.get("a") is None
