"""deploy, destroy-endpoint and destroy: what they refuse, and with which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scones_ops import cli
from scones_ops.handoff import ModelRecord, read_handoff, write_handoff
from scones_ops.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Make a clone in which nothing runs and nothing is built, and have the commands use it."""
    shared = json.loads((ROOT / "terraform/scones.auto.tfvars.json").read_text())
    (tmp_path / "terraform").mkdir()
    (tmp_path / "terraform/scones.auto.tfvars.json").write_text(json.dumps(shared))

    def make(**env: str) -> Settings:
        settings = load_settings(env, tmp_path)
        monkeypatch.setattr(cli, "load_settings", lambda: settings)
        monkeypatch.setattr(Settings, "apply_environment", lambda self: None)
        return settings

    return make


def record() -> ModelRecord:
    return ModelRecord(
        name="shop-0123456789ab", data_url="s3://shop/training/job/output/model.tar.gz",
        image_uri="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312",
        sha256="0123456789ab" + "0" * 52, training_job="job", classes=("bicycle", "motorcycle"),
        input_size=(32, 32), metrics={"validation_accuracy": 0.95}, trained_at="2026-01-01T00:00:00Z",
        dataset={"dataset_id": "abcdefabcdef", "generated": True, "source": {"kind": "generated"}},
    )  # fmt: skip


def test_deploy_without_a_model_says_how_to_get_one(
    clone: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    clone()
    assert cli.main(["deploy"]) == 1
    error = capsys.readouterr().err
    assert "run `make train`" in error
    assert error.count("\n") == 1


def test_deploy_refuses_a_model_that_was_trained_for_other_classes(
    clone: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    write_handoff(clone(CLASSES="bus,train"), record(), endpoint_enabled=True)
    assert cli.main(["deploy"]) == 1
    assert "tells bicycle, motorcycle apart, not bus, train" in capsys.readouterr().err


def test_destroy_on_aws_asks_for_a_yes(
    clone: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    clone(TARGET="aws")
    assert cli.main(["destroy"]) == 1
    assert "DESTROY_OPTIONS=--yes" in capsys.readouterr().err


def test_destroy_endpoint_without_a_model_has_nothing_to_do(
    clone: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    clone()
    assert cli.main(["destroy-endpoint"]) == 0
    assert "is not there" in capsys.readouterr().out


def test_destroy_endpoint_holds_for_the_next_apply_even_where_the_local_aws_is_down(
    clone: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = clone(SCONES_LOCAL_PORT="4639")
    write_handoff(settings, record(), endpoint_enabled=True)
    assert cli.main(["destroy-endpoint"]) == 0
    assert "the local AWS does not run" in capsys.readouterr().out
    handoff = read_handoff(settings)
    assert handoff is not None
    assert not handoff.endpoint_enabled
