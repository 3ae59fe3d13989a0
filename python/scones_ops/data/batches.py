"""The pictures of some classes out of an archive in the layout of cifar-100-python.tar.gz.

The layout (https://www.cs.toronto.edu/~kriz/cifar.html): `cifar-100-python/train`, `test` and `meta`, pickled
dicts. `data` is (n, 3072) uint8, a row being 1024 red, then green, then blue values of a 32 x 32 picture, row
by row; `fine_labels` and `filenames` have n items; meta's `fine_label_names` are the classes' names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scones_ops.data.classes import OFFICIAL, numbers_of
from scones_ops.data.gunzip import Gunzip, Member, members
from scones_ops.data.unpickle import Array, Known, Long, read_pickle
from scones_ops.errors import ArchiveInvalid

FOLDER = "cifar-100-python"
ROW = 3 * 32 * 32
LARGEST_MEMBER = 1 << 30  # bytes; the official train is 155 MB
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")


@dataclass(frozen=True)
class Batch:
    """The kept pictures of `train` or `test`: file names, classes' numbers, and rows (k, 3072) uint8."""

    names: tuple[str, ...]
    labels: tuple[int, ...]
    rows: NDArray[np.uint8]
    total: int  # pictures in the archive's batch, kept or not
    highest: int  # the largest label among all of them


@dataclass(frozen=True)
class Contents:
    """What was read from an archive: `numbers` are those of the classes asked for, in that order."""

    numbers: tuple[int, ...]
    train: Batch
    test: Batch
    sha256: str


@dataclass
class _Pass:
    """What one reading of the archive found."""

    names: tuple[str, ...] = ()
    batches: dict[str, Batch] = field(default_factory=dict)
    sha256: str = ""


def read_archive(file: Path, classes: Sequence[str]) -> Contents:
    """Return the pictures of `classes` in the archive `file`; those of other classes are never all in memory.

    The official archive has its classes' names at its end. They are known, so that one pass does; should
    `meta` say otherwise, a second pass follows with the right numbers. Raises ArchiveInvalid,
    ArchiveUnreachable, or SettingsInvalid for a class that is not in the archive.
    """
    guess = frozenset(OFFICIAL.index(name) for name in classes if name in OFFICIAL)
    found = _read(file, guess)
    numbers = numbers_of(classes, found.names)
    if frozenset(numbers) != guess:
        found = _read(file, frozenset(numbers))
    for split, batch in found.batches.items():
        for number, name in zip(numbers, classes, strict=True):
            if number not in batch.labels:
                raise ArchiveInvalid(f"{file} holds no {split} picture of {name}: choose other CLASSES")
    return Contents(numbers, found.batches["train"], found.batches["test"], found.sha256)


def _read(file: Path, wanted: Collection[int]) -> _Pass:
    found, seen = _Pass(), []
    with Gunzip(file) as stream:
        for member in members(stream):
            folder, _, name = member.name.rpartition("/")
            seen.append(member.name)
            if folder != FOLDER or name not in ("meta", "train", "test"):
                continue
            if member.size > LARGEST_MEMBER:
                raise ArchiveInvalid(f"{member.name} in {file} is far too large: get the archive again")
            origin = f"{member.name} in {file}"
            if name == "meta":
                found.names = _class_names(read_pickle(member, origin), origin)
            else:
                found.batches[name] = _read_batch(member, origin, wanted)
        found.sha256 = stream.sha256()
    for name in ("meta", "train", "test"):
        if name not in found.batches and not (name == "meta" and found.names):
            what = f"it holds {', '.join(seen[:3])}" if seen else "it is empty"
            raise ArchiveInvalid(
                f"{file} has no {FOLDER}/{name} ({what}): ARCHIVE must be CIFAR-100's python version"
            )
    for batch in found.batches.values():
        if batch.highest >= len(found.names):
            raise ArchiveInvalid(f"{file} has labels that its meta does not name: get the archive again")
    return found


def _class_names(meta: Any, origin: str) -> tuple[str, ...]:
    names = _entry(meta, "fine_label_names", origin)
    if not isinstance(names, list) or not names or not all(isinstance(name, bytes | str) for name in names):
        raise ArchiveInvalid(f"{origin} names no classes: get the archive again")
    return tuple(_text(name, origin) for name in names)


def _read_batch(member: Member, origin: str, wanted: Collection[int]) -> Batch:
    """Return the pictures in `member` whose label is in `wanted`, checked to be complete."""
    keep = np.isin(np.arange(256), list(wanted))

    def take(pieces: Iterator[bytes], known: Known) -> _Rows:
        labels = known(b"fine_labels")
        return _chosen_rows(pieces, keep[np.asarray(labels)] if _are_labels(labels) else None)

    document = read_pickle(member, origin, take)
    names, labels = _entry(document, "filenames", origin), _entry(document, "fine_labels", origin)
    data = _entry(document, "data", origin)
    if not (isinstance(data, Array) and data.dtype in ("u1", "uint8") and _are_labels(labels)):
        raise ArchiveInvalid(f"{origin} has no labels or no data of bytes: get the archive again")
    held = data.data.value if isinstance(data.data, Long) else _chosen_rows(iter([data.data]), None)
    total = len(labels)
    complete = data.shape == (total, ROW) and held.size == total * ROW
    if not (complete and isinstance(names, list) and len(names) == total):
        raise ArchiveInvalid(
            f"{origin} is incomplete: {total} labels for data of shape {data.shape}; get the archive again"
        )
    chosen = [at for at, label in enumerate(labels) if keep[label]]
    return Batch(
        names=_unique([_file_name(names[at], origin) for at in chosen]),
        labels=tuple(labels[at] for at in chosen),
        rows=held.rows if held.chosen else held.rows[chosen],
        total=total,
        highest=max(labels, default=0),
    )


@dataclass(frozen=True)
class _Rows:
    """Rows (k, 3072) uint8 out of `size` bytes of data; `chosen` where the unwanted ones are gone already."""

    rows: NDArray[np.uint8]
    size: int
    chosen: bool


def _chosen_rows(pieces: Iterator[bytes], chosen: NDArray[np.bool_] | None) -> _Rows:
    """Return the rows of `pieces` for which `chosen` (one entry a row) is true; all where it is None."""
    # Room for all of them at once: joining pieces would need it twice.
    kept = np.empty((0 if chosen is None else int(chosen.sum()), ROW), np.uint8)
    every: list[NDArray[np.uint8]] = []
    rest, size, row, filled = b"", 0, 0, 0
    for piece in pieces:
        size += len(piece)
        held = rest + piece
        count = len(held) // ROW
        rows = np.frombuffer(held, np.uint8, count * ROW).reshape(count, ROW)
        rest = held[count * ROW :]
        if chosen is None:
            every.append(rows)
            continue
        here = chosen[row : row + count]
        mine = rows[: len(here)][here]
        kept[filled : filled + len(mine)] = mine
        row, filled = row + count, filled + len(mine)
    if chosen is None and every:
        return _Rows(np.concatenate(every), size, chosen=False)
    return _Rows(kept[:filled], size, chosen is not None)


def _are_labels(labels: Any) -> bool:
    if not isinstance(labels, list) or len(labels) > LARGEST_MEMBER // ROW:
        return False
    return all(type(label) is int and 0 <= label < 256 for label in labels)


def _entry(document: Any, key: str, origin: str) -> Any:
    """Return `document[key]`, whether the key was pickled by Python 2 (bytes) or Python 3 (bytes or str)."""
    if isinstance(document, dict):
        for form in (key.encode(), key):
            if form in document:
                return document[form]
    raise ArchiveInvalid(f"{origin} has no {key!r}: ARCHIVE must be CIFAR-100's python version")


def _text(name: Any, origin: str) -> str:
    """Return a name of the archive as text, refusing what could lead out of the data set's folder."""
    text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
    if not _SAFE_NAME.fullmatch(text):
        raise ArchiveInvalid(
            f"{origin} holds the name {text[:80]!r}, which is no plain file name: it was refused"
        )
    return text


def _file_name(name: Any, origin: str) -> str:
    text = _text(name, origin)
    return text if text.lower().endswith(".png") else f"{text}.png"


def _unique(names: list[str]) -> tuple[str, ...]:
    """Return `names` with a number before .png where one comes again, so that no picture is replaced."""
    taken = set(names)
    seen: set[str] = set()
    unique = []
    for name in names:
        final, number = name, 2
        while final in seen or (final != name and final in taken):
            final, number = f"{name[:-4]}-{number}.png", number + 1
        seen.add(final)
        unique.append(final)
    return tuple(unique)
