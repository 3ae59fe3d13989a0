"""Settings: one place for names and defaults, checked at the edge."""

import json
import os
from pathlib import Path

import pytest

from scones_ops.errors import SettingsInvalid
from scones_ops.settings import SHARED_FILE, load_settings


def test_defaults_come_from_the_file_that_terraform_loads_too() -> None:
    settings = load_settings({})
    shared = json.loads((settings.root / SHARED_FILE).read_text())
    assert settings.target == "local"
    assert list(settings.classes) == shared["classes"]
    assert settings.threshold == shared["threshold"]
    assert settings.endpoint_name == shared["endpoint_name"]
    assert settings.overrides == ()


def test_the_environment_overrides_a_default_and_is_remembered_for_terraform() -> None:
    settings = load_settings({"THRESHOLD": "0.5", "CLASSES": "bus, train,bicycle", "SEED": "7"})
    assert settings.threshold == 0.5
    assert settings.classes == ("bus", "train", "bicycle")
    assert settings.seed == 7
    assert set(settings.overrides) == {"threshold", "classes"}


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        ("TARGET", "moon", "local or aws"),
        ("THRESHOLD", "1.5", "at most 1"),
        ("THRESHOLD", "high", "could not convert"),
        ("CLASSES", "bicycle", "at least two"),
        ("CLASSES", "bus,bus", "once"),
        ("ALGORITHM", "magic", "transfer"),
        ("SCONES_LOCAL_PORT", "80", "1024"),
        ("SCONES_PREFIX", "Scones_", "hyphens"),
        ("TRAINING_SPOT", "maybe", "true or false"),
        ("VALIDATION_FRACTION", "0", "share"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_name_and_a_hint(
    variable: str, value: str, hint: str
) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings({variable: value})
    assert variable in str(caught.value)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_settings_file_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="run from a clone"):
        load_settings({}, root=tmp_path)


def test_the_local_target_never_reaches_for_real_credentials() -> None:
    environment = load_settings({"TARGET": "local"}).environment()
    assert environment["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert environment["AWS_ACCESS_KEY_ID"].startswith("AKIALOCAL")


def test_the_aws_target_leaves_credentials_and_endpoints_alone() -> None:
    environment = load_settings({"TARGET": "aws"}).environment()
    assert "AWS_ENDPOINT_URL" not in environment
    assert "AWS_ACCESS_KEY_ID" not in environment


def test_a_shell_with_the_local_variables_does_not_bend_the_aws_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in load_settings({"TARGET": "local"}).environment().items():
        monkeypatch.setenv(name, value)
    load_settings({"TARGET": "aws"}).apply_environment()
    assert "AWS_ENDPOINT_URL" not in os.environ
    assert "AWS_ACCESS_KEY_ID" not in os.environ


def test_own_credentials_and_endpoints_stay_on_the_aws_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://vpce.example")
    load_settings({"TARGET": "aws"}).apply_environment()
    assert os.environ["AWS_ACCESS_KEY_ID"] == "AKIAEXAMPLE"
    assert os.environ["AWS_ENDPOINT_URL"] == "https://vpce.example"


@pytest.mark.parametrize("damage", ["routes", "classes", "region", "threshold"])
def test_a_settings_file_that_lacks_a_key_names_it(tmp_path: Path, damage: str) -> None:
    shared = json.loads((load_settings({}).root / SHARED_FILE).read_text())
    del shared[damage]
    file = tmp_path / SHARED_FILE
    file.parent.mkdir()
    file.write_text(json.dumps(shared))
    with pytest.raises(SettingsInvalid, match=damage):
        load_settings({}, root=tmp_path)


def test_a_route_with_an_unknown_field_is_refused(tmp_path: Path) -> None:
    shared = json.loads((load_settings({}).root / SHARED_FILE).read_text())
    shared["routes"]["bicycle"]["colour"] = "red"
    file = tmp_path / SHARED_FILE
    file.parent.mkdir()
    file.write_text(json.dumps(shared))
    with pytest.raises(SettingsInvalid, match="colour"):
        load_settings({}, root=tmp_path)
