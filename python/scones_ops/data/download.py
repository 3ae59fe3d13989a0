"""A download that goes on where it stopped, is verified, and lands under its name only when whole."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import random
import re
import shutil
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scones_ops.console import progress
from scones_ops.errors import ArchiveInvalid, ArchiveUnreachable, DiskFull
from scones_ops.files import write_json

CHUNK = 1 << 20
TRIES = 4
TIMEOUT = 20.0  # seconds without an answer or a byte
HASTY_TIMEOUT = 4.0
SPARE = 64 << 20  # bytes that stay free on the disk
PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses that may be gone the next time


@dataclass(frozen=True)
class Remote:
    """A file on a server; size (bytes) and md5 where they are known beforehand."""

    url: str
    size: int | None = None
    md5: str = ""


class _Interrupted(Exception):
    """The transfer broke off in a way that another try may mend."""


def fetch(remote: Remote, file: Path, *, patient: bool = True) -> None:
    """Download `remote` to `file`, going on from what an earlier try or Ctrl-C left in `file`.part.

    Waits 1, 2, 4… seconds (with jitter) between tries, and gives up after TRIES in a row that brought
    nothing; with `patient` false after the first, unless something came before it.
    Raises ArchiveUnreachable, ArchiveInvalid (wrong MD5) or DiskFull.
    """
    part = _Part(file)
    begun = part.length() > 0
    if not patient:
        _check_resolves(remote.url)
    failures = 0
    while True:
        before = part.length()
        patient = patient or before > 0  # a server that has sent something is worth waiting for
        try:
            _transfer(remote, part, TIMEOUT if patient else HASTY_TIMEOUT)
            break
        except _Interrupted as error:
            failures = 1 if part.length() > before else failures + 1
            if part.length() <= before and failures >= (TRIES if patient else 1):
                raise ArchiveUnreachable(
                    f"{remote.url} cannot be had ({error}): check the network and run the same command "
                    "again, which goes on from here, or give a file with ARCHIVE=path"
                ) from None
            time.sleep(2.0 ** (failures - 1) * random.uniform(0.5, 1.0))  # noqa: S311
    if remote.md5 and part.md5() != remote.md5:
        part.discard()
        if begun:  # the old beginning may be at fault
            return fetch(remote, file, patient=patient)
        raise ArchiveInvalid(
            f"{remote.url} came with another MD5 than {remote.md5} and was removed: run the same command "
            "again, or give a file with ARCHIVE=path"
        )
    part.land()


def _check_resolves(url: str) -> None:
    """Raise ArchiveUnreachable where the host's name is not found in HASTY_TIMEOUT seconds.

    Without a network a resolver may take half a minute to say so; a proxy resolves names itself.
    """
    parts = urlsplit(url)
    if parts.scheme in urllib.request.getproxies():
        return
    found: list[object] = []

    def resolve() -> None:
        with contextlib.suppress(OSError):
            found.extend(socket.getaddrinfo(parts.hostname, None))

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(HASTY_TIMEOUT)
    if not found:
        raise ArchiveUnreachable(
            f"{url} cannot be had (the name {parts.hostname} is not found): check the network"
        )


def _transfer(remote: Remote, part: _Part, timeout: float) -> None:
    """Append to `part` what the server still has; _Interrupted where the connection fails or ends early."""
    have = part.length()
    request = urllib.request.Request(remote.url, headers={"Accept-Encoding": "identity"})  # noqa: S310
    request.add_header("User-Agent", "scones-ops")
    if have and (have == remote.size or have == part.expected()):
        return
    if have and not part.validator() and not remote.md5:
        part.discard()  # nothing would tell whether the rest belongs to it
        have = 0
    if have:
        # If-Range: the rest only if the file is still the one we have the beginning of, else all of it.
        request.add_header("Range", f"bytes={have}-")
        if part.validator():
            request.add_header("If-Range", part.validator())
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            resumed = have > 0 and _range_start(response) == have
            start = have if resumed else 0
            length = response.headers.get("Content-Length")
            total = start + int(length) if length else remote.size
            if remote.size and total and total != remote.size:
                raise ArchiveUnreachable(
                    f"{remote.url} sends {total} bytes and not {remote.size}, so not the archive: "
                    "check the network (a sign-in page?) or give a file with ARCHIVE=path"
                )
            part.begin(response, total, keep=resumed)
            _check_space(part.file.parent, (total or 0) - start)
            _copy(response, part, start, total)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing after what we have: it is not the beginning of this file
            part.discard()
            raise _Interrupted("the server's file changed") from None
        if error.code in PASSING:
            raise _Interrupted(f"HTTP {error.code} {error.reason}") from None
        raise ArchiveUnreachable(
            f"{remote.url} answers HTTP {error.code} {error.reason}: check the URL, "
            "or give a file with ARCHIVE=path"
        ) from None
    except urllib.error.URLError as error:
        raise _Interrupted(str(getattr(error.reason, "strerror", None) or error.reason)) from None
    except (TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from None


def _copy(response: Any, part: _Part, start: int, total: int | None) -> None:
    """Write the response's body behind the first `start` bytes of `part`."""
    done = start
    with part.path.open("ab") as out:
        blocks = -(-(total - start) // CHUNK) if total else 0
        for chunk in progress(_chunks(response), total=blocks, label="downloading", unit="MiB"):
            try:
                out.write(chunk)
            except OSError as error:
                raise DiskFull(
                    f"{part.path} cannot be written ({error.strerror}): free space on the disk"
                ) from None
            done += len(chunk)
    if total is not None and done < total:
        raise _Interrupted(f"the connection ended after {done} of {total} bytes")


def _chunks(response: Any) -> Iterator[bytes]:
    while chunk := response.read(CHUNK):
        yield chunk


def _range_start(response: Any) -> int | None:
    """Return where a partial answer (206) starts, or None for a whole one."""
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if response.status == 206 and found else None


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise DiskFull(
            f"{folder} has {free >> 20} MiB free and {(needed + SPARE) >> 20} MiB are needed: "
            "free space, or set SCONES_BUILD to another disk"
        )


class _Part:
    """The unfinished download beside its final place, with a note of which version of the file it is."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.path = file.with_name(file.name + ".part")
        self._note = file.with_name(file.name + ".part.json")

    def length(self) -> int:
        """Bytes that can be gone on from; 0 where nothing tells which version of the file they are from."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return 0
        if size and not self._read():
            self.discard()
            return 0
        return size

    def validator(self) -> str:
        return str(self._read().get("validator", ""))

    def expected(self) -> int | None:
        return self._read().get("total")

    def begin(self, response: Any, total: int | None, *, keep: bool) -> None:
        """Note what is coming; without `keep` start from nothing. A weak ETag cannot vouch for a range."""
        if keep:
            return
        self.discard()
        tag = response.headers.get("ETag", "")
        validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
        write_json(self._note, {"validator": validator, "total": total})

    def md5(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()

    def land(self) -> None:
        self.path.replace(self.file)
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}
