"""The handoff file: what is written can be read, what does not fit the schema is neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from training_parts import record, settings_for

from scones_ops.errors import HandoffInvalid
from scones_ops.handoff import endpoint_wanted, read_handoff, read_record, write_handoff


def test_what_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    path = write_handoff(settings, record(), False)
    handoff = read_handoff(settings)
    assert path == settings.handoff_file
    assert handoff is not None and handoff.model == record() and handoff.endpoint_enabled is False
    assert [entry.name for entry in path.parent.iterdir()] == [path.name], "nothing temporary is left"


def test_before_the_first_training_there_is_no_handoff(tmp_path: Path) -> None:
    assert read_handoff(settings_for(tmp_path)) is None


def test_a_record_that_does_not_fit_the_schema_leaves_the_old_file(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    before = write_handoff(settings, record(), True).read_bytes()
    with pytest.raises(HandoffInvalid, match="sha256"):
        write_handoff(settings, record(sha256="not a digest"), True)
    assert settings.handoff_file.read_bytes() == before


@pytest.mark.parametrize("text", ["{", "[]", '{"model": null, "endpoint_enabled": true}'])
def test_a_damaged_file_says_how_to_write_it_again(tmp_path: Path, text: str) -> None:
    settings = settings_for(tmp_path)
    settings.handoff_file.parent.mkdir(parents=True)
    settings.handoff_file.write_text(text)
    with pytest.raises(HandoffInvalid, match="make train") as caught:
        read_handoff(settings)
    assert "\n" not in str(caught.value)


def test_a_field_that_terraform_does_not_know_is_refused(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    path = write_handoff(settings, record(), True)
    path.write_text(json.dumps({**json.loads(path.read_text()), "extra": 1}))
    with pytest.raises(HandoffInvalid, match="extra"):
        read_handoff(settings)


def test_an_endpoint_that_was_switched_off_stays_off(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    assert endpoint_wanted(settings) is True
    write_handoff(settings, record(), False)
    assert endpoint_wanted(settings) is False


def test_a_damaged_file_does_not_keep_a_new_model_from_being_served(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    settings.handoff_file.parent.mkdir(parents=True)
    settings.handoff_file.write_text("{")
    assert endpoint_wanted(settings) is True


def test_a_manifest_is_the_record_as_json() -> None:
    assert read_record(record().to_json()) == record()


def test_a_manifest_of_something_else_is_refused() -> None:
    with pytest.raises(HandoffInvalid, match="manifest"):
        read_record({"name": "x"})


def test_each_target_has_its_own_file(tmp_path: Path) -> None:
    local, aws = settings_for(tmp_path), settings_for(tmp_path, TARGET="aws")
    assert local.handoff_file != aws.handoff_file
    assert aws.handoff_file.name.endswith(".auto.tfvars.json"), "a plain terraform apply loads it by itself"
