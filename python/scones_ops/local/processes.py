"""Starts child processes that do not outlive this one, and ends them with their process groups.

A child gets SIGKILL from Linux when this process dies, by whatever signal. What the child itself started gets
none: a watcher, a process of its own, then kills the groups of all children that were not ended. A grandchild
that left its group (setsid), or whose watcher was killed too, lives on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
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

# The watcher: told of each group as +number and -number, kills those left when nobody can tell it any more.
_WATCH = """
import os, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, 9)
    except OSError:
        pass
"""

_lock = Lock()
_running: set[subprocess.Popen[Any]] = set()  # not yet ended by `end_child`; each leads its group
_watcher: subprocess.Popen[bytes] | None = None


def start_child(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Return the started process of `command`, which dies with this process and is ended by `end_child`.

    It leads a process group of its own, so that `end_child` takes its children too and Ctrl-C in the server's
    terminal does not reach it first.
    """
    tied = [sys.executable, "-I", "-S", "-c", _TIE_AND_EXEC, str(os.getpid()), *command]

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            tied, env=dict(env), cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr,
            process_group=0, pass_fds=pass_fds,
        )  # fmt: skip
        with _lock:
            _running.add(process)
            _tell_watcher(f"+{process.pid}")
        return process

    return _starter.submit(start).result()


def end_child(process: subprocess.Popen[Any], *, patience: float = 0.0) -> int:
    """End the process and its group and return its exit status; it is killed after `patience` seconds.

    Its group is killed once, by the first call: later the number may be another's.
    """
    if process.poll() is None and patience > 0:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with _lock:
        if process in _running:
            _running.remove(process)
            # macOS answers PermissionError for a group of zombies.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            _tell_watcher(f"-{process.pid}")
    return process.wait()


def _tell_watcher(line: str) -> None:
    """Write one line to the watcher, which is started if it is not there yet."""
    global _watcher
    if _watcher is None:
        # In a session of its own, so that what ends this process's group or terminal does not end it.
        _watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCH], cwd="/", stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, bufsize=0,
        )  # fmt: skip
    assert _watcher.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it was killed: the children themselves are still tied
        _watcher.stdin.write(f"{line}\n".encode())
