"""Child processes and what they start end with their parent, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scones_ops.local import processes

# Starts a grandchild, tells its id and goes on as the test wants.
PROGRAM = """
import subprocess, sys, time
print(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL).pid, flush=True)
time.sleep(float(sys.argv[1]))
"""


def started(folder: Path, seconds: float) -> tuple[subprocess.Popen[bytes], int]:
    """Return a child that lives for `seconds`, and the id of its own child, which lives for a minute."""
    child = processes.start_child(
        [sys.executable, "-c", PROGRAM, str(seconds)], env=os.environ, cwd=folder, stdout=subprocess.PIPE
    )
    assert child.stdout
    with child.stdout:
        return child, int(child.stdout.readline())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


@pytest.mark.parametrize("patience", [0.0, 2.0])
def test_ending_a_child_ends_what_it_started(tmp_path: Path, patience: float) -> None:
    child, grandchild = started(tmp_path, 60)
    assert processes.end_child(child, patience=patience) < 0
    assert gone(grandchild)


def test_what_a_child_left_behind_ends_though_the_child_was_waited_for_before(tmp_path: Path) -> None:
    child, grandchild = started(tmp_path, 0)
    assert child.wait() == 0 and alive(grandchild)
    assert processes.end_child(child) == 0
    assert gone(grandchild)


def test_a_child_that_was_ended_is_not_signalled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, _ = started(tmp_path, 60)
    status = processes.end_child(child)
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, _signal: killed.append(pid))
    assert processes.end_child(child) == status == -signal.SIGKILL
    assert not killed  # by now the number may be another process's


def test_a_killed_parent_takes_children_and_grandchildren_with_it(tmp_path: Path) -> None:
    parent = (
        "import os, pathlib, subprocess, sys, time\n"
        "from scones_ops.local import processes\n"
        f"processes.start_child([sys.executable, '-c', {PROGRAM!r}, '60'], env=os.environ, "
        "cwd=pathlib.Path.cwd())\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], cwd=tmp_path, stdout=subprocess.PIPE) as running:
        assert running.stdout
        grandchild = int(running.stdout.readline())
        assert alive(grandchild)
        running.kill()
    assert gone(grandchild)
