"""The reader of pickles: everything the archive needs, nothing else, and never a call."""

from __future__ import annotations

import os
import pickle
import random
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_helpers import batch, python2_pickle

from scones_ops.data.unpickle import LONG, Array, Known, read_pickle
from scones_ops.errors import ArchiveInvalid


class Pieces:
    """A stream over `data` that hands out at most `size` bytes at a time."""

    def __init__(self, data: bytes, size: int = 1 << 20) -> None:
        self._data, self._size = data, size

    def read_some(self, limit: int) -> bytes:
        size = min(limit, self._size)
        piece, self._data = self._data[:size], self._data[size:]
        return piece


def read(data: bytes, size: int = 1 << 20) -> Any:
    return read_pickle(Pieces(data, size), "a pickle", lambda pieces, known: b"".join(pieces))


PLAIN = {
    b"names": [b"a.png", b"", b"\xff\x00" * 200], "text": "héllo", b"numbers": [0, 256, 70_000, -1, 2**40],
    b"nested": {b"deep": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)]}, b"none": None, b"flags": [True, False],
}  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_plain_data_of_any_protocol_is_read_as_it_was_written(protocol: int, size: int) -> None:
    assert read(pickle.dumps(PLAIN, protocol=protocol), size) == PLAIN


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_an_array_is_read_with_its_shape_and_bytes(protocol: int) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    found = read(pickle.dumps({b"data": pixels}, protocol=protocol))[b"data"]
    assert found == Array("u1", (4, 6), pixels.tobytes())


def test_a_pickle_of_python_2_keeps_its_strings_as_bytes_and_numpys_old_name() -> None:
    document = batch(["bicycle", "bus"], 3, 0)
    found = read(python2_pickle(document))
    assert found[b"filenames"] == document[b"filenames"]
    assert found[b"fine_labels"] == document[b"fine_labels"]
    assert found[b"data"].shape == (6, 3072)
    assert found[b"data"].data == document[b"data"].tobytes()


@pytest.mark.parametrize("old", [True, False])
def test_a_long_string_is_handed_on_in_pieces_with_what_was_read_before_it(old: bool) -> None:
    document = batch(["bicycle", "bus"], 40, 0)
    seen: list[Any] = []

    def take(pieces: Iterator[bytes], known: Known) -> bytes:
        parts = list(pieces)
        seen.append((len(parts), known(b"fine_labels"), known(b"no such key")))
        return b"".join(parts)

    data = python2_pickle(document) if old else pickle.dumps(document, protocol=2)
    found = read_pickle(Pieces(data, 10_000), "a pickle", take)
    assert found[b"data"].data.value == document[b"data"].tobytes()
    assert seen[0][0] > 20
    assert seen[0][1:] == (document[b"fine_labels"], None)


def test_a_long_string_that_nobody_takes_is_refused() -> None:
    with pytest.raises(ArchiveInvalid, match="longer than plain data needs"):
        read_pickle(Pieces(pickle.dumps(b"x" * LONG, protocol=3)), "a pickle")


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def hostile(marker: Path) -> dict[str, bytes]:
    """Pickles that would create `marker`, or try another way out of plain data."""
    command = f"touch {marker}".encode()
    text = f"touch {marker}"
    return {
        "os.system": pickle.dumps(Call(os.system, text), protocol=2),
        "os.system, protocol 4": pickle.dumps(Call(os.system, text), protocol=4),
        "subprocess": pickle.dumps([{b"a": Call(subprocess.check_call, ["touch", str(marker)])}], protocol=2),
        "exec": pickle.dumps(Call(exec, f"open({str(marker)!r}, 'w')"), protocol=2),
        "protocol 0": b"cos\nsystem\n(S'" + command + b"'\ntR.",
        "INST": b"(S'" + command + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nU" + bytes([len(command)]) + command + b"o.",
        "NEWOBJ": b"\x80\x02cbuiltins\nbytes\n)\x81.",
        "EXT": b"\x80\x02\x82\x01.",
        "PERSID": b"\x80\x02K\x01Q.",
        "getattr by a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__new__\x93)R.",
        "numpy's loader": b"\x80\x02cnumpy\nload\n(U\x01xtR.",
        "another codec": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00xX\x05\x00\x00\x00rot13\x86R.",
        "state for a dict": b"\x80\x02}}b.",
        "bytes of a size": b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.",
        "an array of objects": b"\x80\x02cnumpy\ndtype\nU\x01OK\x00K\x01\x87RR.",
        "a name as a function": b"\x80\x02cnumpy\nndarray\n)R.",
    }


@pytest.mark.parametrize("kind", sorted(hostile(Path("/x"))))
def test_a_hostile_pickle_is_refused_before_anything_runs(kind: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(ArchiveInvalid, match="was not loaded") as refusal:
        read(hostile(marker)[kind])
    assert not marker.exists()
    assert "\n" not in str(refusal.value)


def test_a_refusal_names_what_the_pickle_asked_for() -> None:
    with pytest.raises(ArchiveInvalid, match=r"a pickle asks for posix\.system"):
        read(b"cposix\nsystem\n.")


def test_a_length_beyond_the_end_is_refused_without_taking_the_memory() -> None:
    with pytest.raises(ArchiveInvalid, match="cut off"):
        read(b"\x80\x02\x8e" + struct.pack("<Q", 1 << 60) + b"x")
    with pytest.raises(ArchiveInvalid, match="damaged"):
        read(b"\x80\x02T" + struct.pack("<i", -5) + b"x")


def test_a_pickle_cut_off_anywhere_is_refused() -> None:
    data = pickle.dumps({**PLAIN, b"data": np.zeros((2, 3), np.uint8)}, protocol=2)
    for end in range(len(data)):
        with pytest.raises(ArchiveInvalid):
            read(data[:end])


def test_a_pickle_with_changed_bytes_is_read_or_refused_but_never_breaks() -> None:
    data = pickle.dumps({**PLAIN, b"data": np.zeros((2, 3), np.uint8)}, protocol=2)
    chance = random.Random(0)
    for _ in range(3000):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(data))] = chance.randrange(256)
        try:
            read(bytes(changed))
        except ArchiveInvalid:
            continue
