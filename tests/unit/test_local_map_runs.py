"""Which Map runs are remembered."""

from typing import Any

import pytest
from moto.stepfunctions.parser.api import MapRunStatus
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor.map_run_record import (  # noqa: E501
    MapRunRecord,
)

from scones_ops.local import stepfunctions_map_run
from scones_ops.local.stepfunctions_map_run import MapRun


def begin(runs: Any, label: str) -> MapRun:
    run = MapRun(MapRunRecord("arn:aws:states:us-east-1:1:stateMachine:m", "execution", 0, 0, 0.0, label))
    runs[run.arn] = run
    return run


def test_the_oldest_run_that_has_ended_goes_and_one_under_way_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepfunctions_map_run, "KEPT_RUNS", 2)
    runs = stepfunctions_map_run._Runs()
    under_way, first, second = (begin(runs, label) for label in ("way", "first", "second"))
    assert len(runs) == 3
    for run in (first, second):
        run.record.set_stop(MapRunStatus.SUCCEEDED)
    last = begin(runs, "last")
    assert list(runs.values()) == [under_way, last]
