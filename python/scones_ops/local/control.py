"""Starts, finds and ends the local AWS of these settings: one detached process, found by its pid file.

Health is asked over HTTP, so that a stranger on the port is never taken for ours, and a pid file whose
process is gone (a reboot, a kill) is only a leftover.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scones_ops.console import say
from scones_ops.errors import LocalAwsUnavailable
from scones_ops.files import write_whole
from scones_ops.local.port_owner import describe_owner
from scones_ops.settings import Settings

START_SECONDS = 60.0
STOP_SECONDS = 20.0
# How long a server that is alive but busy may take to answer: ending it would lose all that it holds.
SLOW_SECONDS = 30.0
HEALTH_PATH = "/_scones/health"


@dataclass(frozen=True)
class Status:
    """One running local AWS: who and where it is, since when (UTC), and how many of what run in it."""

    pid: int
    port: int
    home: Path
    since: datetime
    running: Mapping[str, int]


def home_of(settings: Settings) -> Path:
    """Return the folder of this workspace's local AWS: pid file, log, work files."""
    return settings.build_dir / "local-aws"


def log_file(settings: Settings) -> Path:
    return home_of(settings) / "server.log"


def status(settings: Settings) -> Status | None:
    """Return the local AWS that answers on the settings' port, or None.

    One of another workspace or clone is a foreign process and also None.
    """
    found = _ask(settings.local_port)
    return found if found and found.home == home_of(settings).resolve() else None


def ensure_up(settings: Settings) -> Status:
    """Return the running local AWS, started first if need be. Raises LocalAwsUnavailable."""
    return status(settings) or up(settings)


def up(settings: Settings) -> Status:
    """Start the local AWS, wait until it is healthy and return it; one that runs already is left alone.

    Raises LocalAwsUnavailable if the port is someone else's, or the server does not come up or answer.
    """
    home = home_of(settings)
    home.mkdir(parents=True, exist_ok=True)
    with _lock(home):
        running = status(settings) or _wait_for_slow(settings)
        if running:
            return running
        _end_leftover(settings)
        require_free_port(settings.local_port)
        _clear_work(home)
        process = _spawn(settings, home)
        started = _wait_until_healthy(settings, process)
    say(f"local AWS is up at {settings.local_url} (pid {started.pid}); it starts empty")
    return started


def down(settings: Settings) -> bool:
    """End the local AWS and wait until its port is free; False if none ran.

    Raises LocalAwsUnavailable if it does not end.
    """
    home = home_of(settings)
    if not home.exists():
        return False
    with _lock(home):
        pid = _recorded_pid(home)
        found = status(settings)
        if found:
            pid = found.pid
        if pid is None:
            return False
        _end(pid, home)
        _pid_file(home).unlink(missing_ok=True)
        _clear_work(home)
    return True


def _spawn(settings: Settings, home: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable, "-m", "scones_ops.local.server", "--port", str(settings.local_port),
        "--home", str(home), "--region", settings.region,
    ]  # fmt: skip
    with log_file(settings).open("wb") as log:
        process = subprocess.Popen(
            command, cwd=settings.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    _write_pid(home, process.pid)
    return process


def _wait_until_healthy(settings: Settings, process: subprocess.Popen[bytes]) -> Status:
    end = time.monotonic() + START_SECONDS
    try:
        while time.monotonic() < end:
            found = status(settings)
            if found and found.pid == process.pid:
                return found
            if process.poll() is not None:
                raise LocalAwsUnavailable(
                    f"the local AWS ended while starting ({_last_line(log_file(settings))}): "
                    f"read {log_file(settings)}"
                )
            time.sleep(0.05)
        raise LocalAwsUnavailable(
            f"the local AWS did not answer within {START_SECONDS:.0f} s: read {log_file(settings)}"
        )
    except BaseException:
        # Also on Ctrl-C: either it is up and recorded, or nothing is left of it.
        if process.poll() is None:
            process.kill()
            process.wait()
        _pid_file(home_of(settings)).unlink(missing_ok=True)
        raise


def require_free_port(port: int) -> None:
    """Raise LocalAwsUnavailable, naming the owner, where another process listens on `port` of 127.0.0.1."""
    if not _is_taken(port):
        return
    other = _ask(port)
    owner = f"another local AWS ({other.home}, pid {other.pid})" if other else describe_owner(port)
    raise LocalAwsUnavailable(
        f"port {port} is taken by {owner}: end it, or choose another port, as in SCONES_LOCAL_PORT={port + 1}"
    )


def _is_taken(port: int) -> bool:
    """Return whether a process listens on `port` of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _ask(port: int) -> Status | None:
    """Return the status told by the local AWS on `port`, or None where nothing or something else answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{HEALTH_PATH}", timeout=5) as answer:
            told: dict[str, Any] = json.load(answer)
        if told.get("service") != "scones-local-aws":
            return None
        return Status(
            pid=told["pid"],
            port=told["port"],
            home=Path(told["home"]),
            since=datetime.fromtimestamp(told["since"], UTC),
            running=told["running"],
        )
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None


def _wait_for_slow(settings: Settings) -> Status | None:
    """Return the recorded server as soon as it answers, None if none is recorded that listens on this port.

    Raises LocalAwsUnavailable if it does not answer.
    """
    home, port = home_of(settings), settings.local_port
    end = time.monotonic() + SLOW_SECONDS
    while True:
        pid = _recorded_pid(home)
        if pid is None or f"--port {port} " not in _command_line(pid) or not _is_taken(port):
            return None
        if time.monotonic() > end:
            raise LocalAwsUnavailable(
                f"the local AWS (pid {pid}) is alive but has not answered for {SLOW_SECONDS:.0f} s: try "
                f"again, or end it and lose what it holds with `make local-down` (log: {log_file(settings)})"
            )
        found = status(settings)
        if found:
            return found
        time.sleep(0.2)


def _end_leftover(settings: Settings) -> None:
    """End a server of ours that is recorded but does not listen on this port (an older port)."""
    pid = _recorded_pid(home_of(settings))
    if pid is not None:
        _end(pid, home_of(settings))


def _end(pid: int, home: Path) -> None:
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if not _is_server(pid, home):
                return
            time.sleep(0.03)
    raise LocalAwsUnavailable(f"the local AWS (pid {pid}) does not end: end it by hand with `kill -9 {pid}`")


def _is_server(pid: int, home: Path) -> bool:
    """Return whether `pid` is alive and the server of `home`: by its command line, as pids are reused."""
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)  # reap it if this very process started it
    command = _command_line(pid)
    return "scones_ops.local.server " in command and f"--home {home} " in command


def _command_line(pid: int) -> str:
    """Return the process's arguments, each followed by a space; "" if there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        if Path("/proc/self").exists():
            return ""
    found = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
    return f"{found.stdout.strip()} "


def _pid_file(home: Path) -> Path:
    return home / "server.pid"


def _recorded_pid(home: Path) -> int | None:
    """Return the recorded pid if such a server is alive; a stale pid file is removed."""
    try:
        pid = int(_pid_file(home).read_text())
    except (FileNotFoundError, ValueError):
        return None
    if _is_server(pid, home):
        return pid
    _pid_file(home).unlink(missing_ok=True)
    return None


def _write_pid(home: Path, pid: int) -> None:
    write_whole(_pid_file(home), f"{pid}\n".encode())


def _clear_work(home: Path) -> None:
    """Remove the work folders of an earlier server; its log stays to be read."""
    for path in home.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it wrote nothing"


@contextlib.contextmanager
def _lock(home: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two `up` at once start one server."""
    with (home / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
