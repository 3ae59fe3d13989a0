"""Finds out which process listens on a port, to name it in an error."""

from __future__ import annotations

from pathlib import Path


def describe_owner(port: int) -> str:
    """Return who listens on `port`, as "pid 12 (nginx -g …)"; "another process" where that is not seen.

    Read from /proc/net/tcp as documented in proc(5): Linux only, and only processes of this user.
    """
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) in inodes:
                pid = int(link.parts[2])
                command = (
                    Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                return _named(pid, command)
        except OSError:
            continue
    return "another process"


def _named(pid: int, command: str) -> str:
    return f"pid {pid} ({command.strip()[:80]})"
