"""The command line: what cannot be done is told in one line, with the command as it has to be typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scones_ops import console
from scones_ops.cli import COMMANDS


def scones(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SCONES_"))}
    return subprocess.run(
        [sys.executable, "-m", "scones_ops", *arguments], env=clean | env, capture_output=True, text=True
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    shown = scones(command.replace("_", "-"), "--help")
    assert shown.returncode == 0
    assert "example: " in shown.stdout


def test_a_profile_that_does_not_exist_is_told_in_one_line(tmp_path: Path) -> None:
    done = scones("--target", "aws", "train", AWS_PROFILE="nobody", SCONES_BUILD=str(tmp_path))
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "nobody" in done.stderr


def test_debug_shows_where_an_error_comes_from() -> None:
    done = scones("--debug", "doctor", THRESHOLD="high")
    assert "Traceback" in done.stderr
    assert "Traceback" not in scones("doctor", THRESHOLD="high").stderr


def test_advised_commands_name_the_target_unless_it_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_named_target", "")
    assert console.advise("run `make train deploy`") == "run `make train deploy`"
    console.speak_of_target("aws")
    assert console.advise("run `make train deploy`") == "run `make train deploy TARGET=aws`"
    assert console.advise("`make local-up` starts it") == "`make local-up` starts it"
    assert console.advise("`make destroy TARGET=aws DESTROY_OPTIONS=--yes`").count("TARGET") == 1
