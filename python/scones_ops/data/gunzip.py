"""Reading a .tar.gz as a stream: decompressed in a thread of its own, never whole in memory."""

from __future__ import annotations

import hashlib
import queue
import tarfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from scones_ops.console import progress
from scones_ops.errors import ArchiveInvalid, ArchiveUnreachable

try:
    from isal import isal_zlib  # zlib's interface at about twice its speed
except ImportError:  # there is no wheel for every machine
    inflater: Any = zlib
else:
    inflater = isal_zlib

CHUNK = 1 << 20  # compressed bytes at a time
LARGEST_OUTPUT = 1 << 20  # decompressed bytes at a time, however well they were packed
AHEAD = 4  # decompressed chunks that may wait for the reader
BLOCK = 512  # tar's unit: https://www.gnu.org/software/tar/manual/html_node/Standard.html
MAGIC = b"\x1f\x8b"
GZIP = 16 + zlib.MAX_WBITS


class Stream(Protocol):
    """What a reader needs of a stream."""

    def read_some(self, limit: int) -> bytes:
        """Return 1 to `limit` bytes, or b"" at the end."""
        ...


class Gunzip:
    """The decompressed bytes of `file`, as a context manager. It inflates beside the reader, without the GIL.

    Raises ArchiveInvalid where the file is no gzip file, is damaged (gzip's own CRC is checked) or cut off.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._chunks: queue.Queue[bytes | BaseException | None] = queue.Queue(AHEAD)
        self._rest = memoryview(b"")
        self._ended = False
        self._stop = threading.Event()
        self._digest = hashlib.sha256()
        self._thread = threading.Thread(target=self._produce, name="gunzip", daemon=True)

    def __enter__(self) -> Gunzip:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        while self._thread.is_alive():  # a full queue holds the thread: empty it
            try:
                self._chunks.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def read_some(self, limit: int) -> bytes:
        """Return 1 to `limit` bytes, or b"" at the end."""
        if not self._rest and not self._ended:
            item = self._chunks.get()
            if isinstance(item, BaseException):
                self._ended = True
                raise item
            self._ended = item is None
            self._rest = memoryview(item or b"")
        piece, self._rest = self._rest[:limit], self._rest[limit:]
        return bytes(piece)

    def sha256(self) -> str:
        """Return the hex digest of the compressed file, once the stream has been read to its end."""
        while self.read_some(CHUNK):
            pass
        return self._digest.hexdigest()

    def _produce(self) -> None:
        """Put the decompressed chunks into the queue, then None; or the error that ended it."""
        try:
            for chunk in self._decompressed():
                if self._stop.is_set():
                    return
                self._chunks.put(chunk)
            self._chunks.put(None)
        except OSError as error:
            self._chunks.put(
                ArchiveUnreachable(f"{self._file} cannot be read ({error.strerror}): check the path")
            )
        except BaseException as error:
            self._chunks.put(error)

    def _decompressed(self) -> Iterator[bytes]:
        size = self._file.stat().st_size
        inflate, first = inflater.decompressobj(GZIP), True
        with self._file.open("rb") as file:
            pieces = iter(lambda: file.read(CHUNK), b"")
            for piece in progress(pieces, total=-(-size // CHUNK), label="reading archive", unit="MiB"):
                if first and not piece.startswith(MAGIC):
                    raise self._invalid("no gzip file")
                self._digest.update(piece)
                rest, more, first = piece, True, False
                while rest or more:
                    if inflate.eof:  # a gzip file may have several parts
                        if not rest.strip(b"\0"):  # or padding after the last one
                            break
                        inflate = inflater.decompressobj(GZIP)
                    try:
                        out = inflate.decompress(rest, LARGEST_OUTPUT)
                    except inflater.error as error:
                        raise self._invalid(f"damaged ({error})") from None
                    rest = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
                    more = len(out) == LARGEST_OUTPUT  # it may hold back more of it
                    if out:
                        yield out
        if not inflate.eof:
            raise self._invalid("cut off: it ends before its content does")

    def _invalid(self, what: str) -> ArchiveInvalid:
        return ArchiveInvalid(f"{self._file} is {what}: remove it and get the archive again")


class Member:
    """One file inside the tar, as a stream of exactly its `size` bytes."""

    def __init__(self, stream: Stream, size: int, name: str) -> None:
        self.name = name
        self.size = size
        self._stream = stream
        self._left = size

    def read_some(self, limit: int) -> bytes:
        """Return 1 to `limit` bytes, or b"" at the member's end."""
        if not self._left:
            return b""
        piece = self._stream.read_some(min(limit, self._left))
        if not piece:
            raise ArchiveInvalid(f"the archive is cut off inside {self.name}: get it again")
        self._left -= len(piece)
        return piece


def members(stream: Stream) -> Iterator[Member]:
    """Yield the regular files of the tar in `stream`, each to be read before the next one.

    Raises ArchiveInvalid where `stream` is no tar or is cut off.
    """
    while True:
        header = _exactly(stream, BLOCK)
        if not header.strip(b"\0"):
            return
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "replace")
        except tarfile.TarError as error:
            raise ArchiveInvalid(
                f"the archive holds no tar ({error}): is it cifar-100-python.tar.gz?"
            ) from None
        padded = -(-info.size // BLOCK) * BLOCK
        member = Member(stream, padded, info.name)
        if info.isreg():
            inside = Member(member, info.size, info.name.removeprefix("./"))
            yield inside
        while member.read_some(CHUNK):
            pass


def _exactly(stream: Stream, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        piece = stream.read_some(size - len(parts))
        if not piece:
            raise ArchiveInvalid("the archive is cut off: it has no end mark; get it again")
        parts += piece
    return parts
