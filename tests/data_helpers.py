"""Small archives in CIFAR-100's layout, and a web server that misbehaves on demand."""

from __future__ import annotations

import gzip
import io
import pickle
import re
import struct
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from scones_ops.data.classes import OFFICIAL
from scones_ops.settings import Settings, load_settings

FOLDER = "cifar-100-python"


def settings_in(folder: Path, **changes: str) -> Settings:
    """Return the project's settings with everything built in `folder`."""
    env = {"SCONES_BUILD": str(folder / "build"), **{key.upper(): value for key, value in changes.items()}}
    return load_settings(env)


def batch(
    classes: Sequence[str], per_class: int, seed: int, names: Sequence[str] = OFFICIAL
) -> dict[bytes, Any]:
    """Return `train` or `test` as a dict: `per_class` random pictures of each class, in a mixed order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(classes) * per_class)
    pictures = [(name, at) for name in classes for at in range(per_class)]
    return {
        b"filenames": [f"{pictures[i][0]}_s_{seed}{pictures[i][1]:05d}.png".encode() for i in order],
        b"batch_label": b"a batch",
        b"fine_labels": [names.index(pictures[i][0]) for i in order],
        b"coarse_labels": [0 for _ in order],
        b"data": rng.integers(0, 256, (len(order), 3072), dtype=np.uint8),
    }


def meta(names: Sequence[str] = OFFICIAL) -> dict[bytes, Any]:
    return {b"fine_label_names": [name.encode() for name in names], b"coarse_label_names": []}


def content(per_class: int = 10, classes: Sequence[str] = ("bicycle", "bus", "motorcycle")) -> dict[str, Any]:
    """Return an archive's three members, in the order of the official one."""
    return {"train": batch(classes, per_class, 1), "test": batch(classes, 4, 2), "meta": meta()}


def write_archive(
    file: Path, members: Mapping[str, Any], *, folder: str = FOLDER, python2: bool = False
) -> Path:
    """Write `members` (bytes as they are, anything else pickled) as a .tar.gz and return `file`."""
    with gzip.open(file, "wb", compresslevel=1) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, value in members.items():
            if not isinstance(value, bytes):
                value = python2_pickle(value) if python2 else pickle.dumps(value, protocol=2)
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(value)
            tar.addfile(info, io.BytesIO(value))
    return file


def python2_pickle(document: Mapping[bytes, Any]) -> bytes:
    """Return `document` as Python 2's cPickle writes it in protocol 2, as in the official archive."""
    return b"\x80\x02" + _python2(dict(document)) + b"."


def _python2(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"}(" + b"".join(_python2(part) for item in value.items() for part in item) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(_python2(part) for part in value) + b"e"
    if isinstance(value, bytes):
        head = b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<i", len(value))
        return head + value
    if isinstance(value, int):
        return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)
    rows, columns = value.shape
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
        b"(K\x01" + _python2(rows) + _python2(columns) + b"\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + _python2(value.tobytes()) + b"tb"
    )


@dataclass
class Site:
    """What the server sends, and how it misbehaves; `asked` collects the Range header of every request."""

    body: bytes
    etag: str = '"one"'
    modified: str = ""
    ranges: bool = True
    breaks_after: list[int] = field(
        default_factory=list
    )  # bytes sent before the connection drops, a request each
    statuses: list[int] = field(default_factory=list)  # answered before anything else, a request each
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve `site` on a free port; `site.url` is its archive's address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def do_GET(self) -> None:
            site.asked.append(self.headers.get("Range"))
            if site.statuses:
                self.send_error(site.statuses.pop(0))
                return
            start = self._start()
            if start is not None and start >= len(site.body):
                self.send_error(416)
                return
            self.send_response(200 if start is None else 206)
            if start is not None:
                self.send_header("Content-Range", f"bytes {start}-{len(site.body) - 1}/{len(site.body)}")
            rest = site.body[start or 0 :]
            self.send_header("Content-Length", str(len(rest)))
            if site.etag:
                self.send_header("ETag", site.etag)
            if site.modified:
                self.send_header("Last-Modified", site.modified)
            self.end_headers()
            if site.breaks_after:
                rest = rest[: site.breaks_after.pop(0)]
            self.wfile.write(rest)

        def _start(self) -> int | None:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            condition = self.headers.get("If-Range")
            if not asked or not site.ranges or condition not in (None, site.etag, site.modified):
                return None
            return int(asked[1])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/pub/{FOLDER}.tar.gz"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
