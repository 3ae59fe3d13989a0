"""Archive in, data set on disk out: filtered, split, written as PNG, .lst and dataset.json in one swap."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scones_ops.console import progress, say
from scones_ops.data.archive import Archive, obtain_archive
from scones_ops.data.batches import Batch, Contents, read_archive
from scones_ops.data.classes import OFFICIAL, numbers_of
from scones_ops.data.dataset import (
    GENERATED_NOTE,
    MANIFEST,
    SPLITS,
    Dataset,
    Picture,
    Source,
    content_id,
    list_file,
    load_dataset,
)
from scones_ops.data.generated import generate_archive
from scones_ops.errors import ArchiveInvalid, ArchiveUnreachable, DatasetInvalid, DiskFull
from scones_ops.settings import Settings

FORM = 1  # goes up when the same archive would give other files than before
INPUTS = ".inputs.json"  # what the data set was made from; of this machine, so not part of dataset.json
DISK_PER_PICTURE = 8192  # bytes: a PNG of about 2.5 KB in whole blocks, and its inode


@dataclass(frozen=True)
class _Item:
    """A picture about to be written: `pixels` is a row (3072,) of the archive."""

    split: str
    name: str
    label: int
    pixels: NDArray[np.uint8]


def prepare_dataset(settings: Settings, *, allow_generated: bool) -> Dataset:
    """Return the data set in `settings.dataset_dir`, made anew only where its inputs changed.

    With `allow_generated`, on the local target only, pictures are drawn where the official archive cannot be
    had; an archive named by `settings.archive` never falls back. Interrupted at any point it leaves the data
    set that was there. Raises ArchiveUnreachable, ArchiveInvalid, SettingsInvalid or DiskFull.
    """
    if not settings.archive:
        numbers_of(settings.classes, OFFICIAL)  # before 169 MB are fetched for a misspelt name
    with _locked(settings.dataset_dir):
        archive = _archive(settings, allow_generated=allow_generated)
        inputs = _inputs(settings, archive)
        dataset = _current(settings.dataset_dir, inputs)
        if dataset is None:
            try:
                contents = read_archive(archive.file, settings.classes)
            except ArchiveInvalid:
                if archive.fetched:
                    archive.file.unlink()
                raise
            dataset = _build(settings, archive, contents, inputs)
    say(dataset.summary())
    return dataset


def _archive(settings: Settings, *, allow_generated: bool) -> Archive:
    may_generate = allow_generated and settings.target == "local" and not settings.archive
    try:
        return obtain_archive(settings, patient=not may_generate)
    except ArchiveUnreachable as error:
        if not may_generate:
            raise
        say(f"{error}")
        say(f"going on with pictures drawn here ({GENERATED_NOTE}); for real ones give ARCHIVE=path or URL")
        return generate_archive(settings)


def split_validation(names: Sequence[str], labels: Sequence[int], fraction: float, seed: int) -> list[bool]:
    """Return for each picture whether it goes to validation: `fraction` of every class, at least one.

    A picture's place follows from its name and `seed` by a hash, so neither from the archive's order nor from
    a random generator's version.
    """
    chosen = [False] * len(names)
    for label in sorted(set(labels)):
        members = [at for at, own in enumerate(labels) if own == label]
        if len(members) < 2:
            raise ArchiveInvalid(
                "a class has fewer than two train pictures, so none for validation: choose others"
            )
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        members.sort(key=lambda at: hashlib.sha256(f"{seed}/{names[at]}".encode()).digest())
        for at in members[:count]:
            chosen[at] = True
    return chosen


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Return the RGB PNG of a row (3072,): red, green, blue planes of 32 x 32; the same bytes every time."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.reshape(3, 32, 32).transpose(1, 2, 0))).save(out, "PNG")
    return out.getvalue()


def _items(settings: Settings, contents: Contents) -> list[_Item]:
    """Return every picture of the data set, split by split, in the archive's order."""
    labels = {number: label for label, number in enumerate(contents.numbers)}

    def of(batch: Batch, split: str, chosen: Sequence[bool]) -> list[_Item]:
        rows = zip(batch.names, batch.labels, batch.rows, chosen, strict=True)
        return [_Item(split, name, labels[number], row) for name, number, row, mine in rows if mine]

    train, test = contents.train, contents.test
    validation = split_validation(train.names, train.labels, settings.validation_fraction, settings.seed)
    return [
        *of(train, "train", [not mine for mine in validation]),
        *of(train, "validation", validation),
        *of(test, "test", [True] * len(test.names)),
    ]


def _build(settings: Settings, archive: Archive, contents: Contents, inputs: Mapping[str, Any]) -> Dataset:
    """Write the data set beside its place and swap it in; dataset.json is written last."""
    final = settings.dataset_dir
    items = _items(settings, contents)
    free, needed = shutil.disk_usage(final.parent).free, len(items) * DISK_PER_PICTURE
    if free < needed:
        raise DiskFull(
            f"{final.parent} has {free >> 20} MiB free and the pictures need {needed >> 20} MiB: "
            "free space, or set SCONES_BUILD to another disk"
        )
    temporary = Path(tempfile.mkdtemp(prefix=".dataset-", suffix=".tmp", dir=final.parent))
    try:
        temporary.chmod(0o755)
        for split in SPLITS:
            (temporary / split).mkdir()
        pictures = tuple(_write(temporary, item) for item in _shown(items))
        source = Source(archive.kind, archive.name, contents.sha256, archive.file.stat().st_size)
        identity = content_id(settings.classes, pictures)
        dataset = Dataset(final, identity, settings.classes, source, pictures)
        for split in SPLITS:
            (temporary / f"{split}.lst").write_bytes(list_file(dataset.split(split)))
        (temporary / INPUTS).write_text(json.dumps(inputs))
        (temporary / MANIFEST).write_bytes(dataset.manifest())
        _swap(temporary, final)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(f"{final.parent} is full: free space, or set SCONES_BUILD to another disk") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return dataset


def _shown(items: list[_Item]) -> Iterator[_Item]:
    return iter(progress(items, total=len(items), label="writing pictures", unit="png"))


def _write(folder: Path, item: _Item) -> Picture:
    data = png_bytes(item.pixels)
    path = f"{item.split}/{item.name}"
    (folder / path).write_bytes(data)
    return Picture(path, item.label, hashlib.sha256(data).hexdigest(), item.split)


def _inputs(settings: Settings, archive: Archive) -> dict[str, Any]:
    """What the data set depends on. The archive is known by path, size and time, as make knows files."""
    state = archive.file.stat()
    return {
        "form": FORM,
        "classes": list(settings.classes),
        "validation_fraction": settings.validation_fraction,
        "seed": settings.seed,
        "kind": archive.kind,
        "archive": str(archive.file),
        "size": state.st_size,
        "modified": state.st_mtime_ns,
    }


def _current(folder: Path, inputs: Mapping[str, Any]) -> Dataset | None:
    """Return the data set in `folder` if it is whole and was made from `inputs`."""
    try:
        if json.loads((folder / INPUTS).read_text()) != inputs:
            return None
        return load_dataset(folder)
    except (OSError, ValueError, DatasetInvalid):
        return None


@contextlib.contextmanager
def _locked(final: Path) -> Iterator[None]:
    """Hold the data set for this process; first put right what a killed one left."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with (final.parent / ".dataset.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        old = _old(final)
        if old.exists() and not final.exists():
            old.rename(final)
        for leftover in (old, *final.parent.glob(".dataset-*.tmp")):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _old(final: Path) -> Path:
    return final.with_name(f".{final.name}-old")


def _swap(temporary: Path, final: Path) -> None:
    """Put `temporary` in the place of `final`; interrupted between the renames, the old one comes back."""
    old = _old(final)
    try:
        if final.exists():
            final.rename(old)
        temporary.rename(final)
    except BaseException:
        if old.exists() and not final.exists():
            old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)
