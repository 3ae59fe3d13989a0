"""Starts child processes that cannot outlive this server, not even its SIGKILL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

# Linux ties "my parent died" to the thread that forked, and the web server's threads end with their request.
# So every child is started by this one thread, which lives as long as the process.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="child-starter")

# Runs in the child before the program: asks for SIGKILL at the parent's death, checks that it is not too
# late, then becomes the program. A file-less script, so that the child needs no package of ours.
_TIE_AND_EXEC = """
import os, sys
parent, keep = int(sys.argv[1]), sys.argv[2:]
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != parent:
    os._exit(1)
os.execvp(keep[0], keep)
"""


def start_child(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    new_group: bool = True,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Return the started process of `command`, which dies with this server.

    With `new_group` it leads a process group of its own, so that `end_child` takes its children too and
    Ctrl-C in the server's terminal does not reach it first.
    """
    tied = [sys.executable, "-I", "-S", "-c", _TIE_AND_EXEC, str(os.getpid()), *command]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            tied, env=dict(env), cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr,
            process_group=0 if new_group else None, pass_fds=pass_fds,
        )  # fmt: skip

    return _starter.submit(start).result()


def end_child(process: subprocess.Popen[Any], *, patience: float = 0.0) -> int:
    """End the process and its group and return its exit status; it is killed after `patience` seconds."""
    if process.poll() is None and patience > 0:
        process.terminate()
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
    _kill_group(process)
    return process.wait()


def _kill_group(process: subprocess.Popen[Any]) -> None:
    try:
        os.killpg(process.pid, 9)
    except (ProcessLookupError, PermissionError):
        # Not a group leader, or already gone.
        if process.poll() is None:
            process.kill()
