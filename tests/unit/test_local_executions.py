"""What is remembered of executions, and for how long: real executions of moto's, as the server keeps them."""

import gc
import json
import time
import tracemalloc
import weakref
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from moto.stepfunctions.parser.backend.execution import Execution, SyncExecution

from scones_ops.local import stepfunctions_executions
from scones_ops.local.stepfunctions_executions import Executions

STATES = {f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(4)} | {
    "S4": {"Type": "Pass", "End": True}
}
DEFINITION = json.dumps({"StartAt": "S0", "States": STATES})
LONG = json.dumps({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3, "End": True}}})


def machine(arn: str = "arn:aws:states:us-east-1:1:stateMachine:m") -> Any:
    return SimpleNamespace(arn=arn, name="m", sm_type="STANDARD", definition=DEFINITION, executions=[])


def started(name: str, owner: Any, kind: type[Execution] = Execution, definition: str = DEFINITION) -> Any:
    execution = kind(
        name=name, sm_type="STANDARD", role_arn="r", exec_arn=name, account_id="1", region_name="us-east-1",
        state_machine=SimpleNamespace(**vars(owner) | {"definition": definition, "executions": None}),
        start_date=datetime.now(UTC), cloud_watch_logging_session=None, activity_store={},
        input_data='{"n": 1}',
    )  # fmt: skip
    execution.start()
    return execution


def run(kept: Executions, name: str, owner: Any) -> Any:
    """Return an execution that has ended and is kept."""
    execution = started(name, owner)
    owner.executions.append(execution)
    kept.add(execution, owner)
    end = time.monotonic() + 10
    while execution.status == "RUNNING":
        assert time.monotonic() < end
        time.sleep(0.001)
    kept.ended(execution)
    return execution


def test_the_histories_that_are_kept_hold_no_more_memory_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = 300_000
    monkeypatch.setattr(stepfunctions_executions, "KEPT_HISTORY_BYTES", bound)
    kept, owner = Executions(), machine()
    run(kept, "warm-up", owner)
    names = [str(number) for number in range(100)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for name in names:
            run(kept, name, owner)
        gc.collect()
        with_histories = tracemalloc.get_traced_memory()[0] - before
        for name in names:
            kept.get(name).exec_worker.env = None
        gc.collect()
        without = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.3 * bound < with_histories - without < 1.3 * bound


def test_the_newest_history_is_kept_and_an_execution_without_is_still_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stepfunctions_executions, "KEPT_HISTORY_BYTES", 1)
    kept, owner = Executions(), machine()
    first, second = run(kept, "a", owner), run(kept, "b", owner)
    assert first.exec_worker.env is None and second.exec_worker.env is not None
    assert first.to_history_output()["events"] == []
    assert kept.get("a") is first and first.to_describe_output()["output"] == '{"n":1}'


def test_the_oldest_finished_ones_go_and_a_running_one_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepfunctions_executions, "KEPT_EXECUTIONS", 2)
    kept, owner = Executions(), machine()
    running = started("long", owner, definition=LONG)
    owner.executions.append(running)
    kept.add(running, owner)
    for name in ("a", "b", "c"):
        run(kept, name, owner)
    assert [name for name in ("long", "a", "b", "c") if kept.get(name)] == ["long", "c"]
    assert [execution.name for execution in owner.executions] == ["long", "c"]
    assert kept.count_running() == 1


def test_nothing_holds_an_execution_that_is_no_longer_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepfunctions_executions, "KEPT_EXECUTIONS", 1)
    kept, owner, other = Executions(), machine(), machine("arn:other")
    dropped = weakref.ref(run(kept, "dropped", owner))
    deleted = weakref.ref(run(kept, "deleted", other))
    assert [execution.name for execution in kept.forget_machine("arn:other")] == ["deleted"]
    del other
    late = started("late", owner)
    kept.ended(late)
    sync = started("sync", owner, SyncExecution)
    kept.ended(sync)
    held = [weakref.ref(late), weakref.ref(sync)]
    del late, sync
    time.sleep(0.2)  # the threads of the executions end
    gc.collect()
    assert [ref() for ref in (dropped, deleted, *held)] == [None] * 4
