"""The drawn data set, for a machine that cannot get the archive: written in the archive's own layout."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from scones_ops.console import progress, say
from scones_ops.data.archive import Archive
from scones_ops.data.batches import FOLDER
from scones_ops.data.classes import OFFICIAL
from scones_ops.data.drawing import VEHICLES, draw_vehicle
from scones_ops.errors import SettingsInvalid
from scones_ops.settings import Settings

FORM = 1  # goes up when the drawing changes, so that an older archive is not taken for it
PER_CLASS = {"train": 500, "test": 100}  # as in CIFAR-100


def generate_archive(settings: Settings) -> Archive:
    """Return an archive of drawn `settings.classes`, the same bytes for the same seed and classes.

    Raises SettingsInvalid for a class that cannot be drawn.
    """
    classes = sorted(settings.classes)
    missing = [name for name in classes if name not in VEHICLES]
    if missing:
        raise SettingsInvalid(
            f"CLASSES names {', '.join(missing)}, and only {', '.join(sorted(VEHICLES))} can be drawn: "
            "for other classes give the archive with ARCHIVE=path or URL"
        )
    name = f"generated-{settings.seed}-{'-'.join(classes)}-v{FORM}.tar.gz"
    file = settings.downloads_dir / name
    if not file.is_file():
        say(f"drawing {sum(PER_CLASS.values()) * len(classes)} pictures: generated data")
        _write(
            file, {split: _batch(classes, split, settings.seed) for split in PER_CLASS} | {"meta": _meta()}
        )
    return Archive(file, name, kind="generated")


def _meta() -> dict[bytes, Any]:
    return {b"fine_label_names": [name.encode() for name in OFFICIAL], b"coarse_label_names": []}


def _batch(classes: list[str], split: str, seed: int) -> dict[bytes, Any]:
    """Return `train` or `test` as the archive has it, its pictures in a mixed order."""
    offset = list(PER_CLASS).index(split)
    wanted = [(name, at) for at in range(PER_CLASS[split]) for name in classes]
    np.random.default_rng([seed, offset]).shuffle(wanted)
    label = f"drawing {split} pictures"
    rows = [
        draw_vehicle(name, np.random.default_rng([seed, offset, OFFICIAL.index(name), at]))
        for name, at in progress(wanted, total=len(wanted), label=label, unit="pictures")
    ]
    return {
        b"filenames": [f"generated_{name}_s_{offset}{at:05d}.png".encode() for name, at in wanted],
        b"batch_label": b"generated data",
        b"fine_labels": [OFFICIAL.index(name) for name, _ in wanted],
        b"coarse_labels": [0] * len(wanted),
        b"data": np.stack(rows),
    }


def _write(file: Path, content: dict[str, dict[bytes, Any]]) -> None:
    """Write the archive in one step, without the time of day, so that the same content is the same file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".tmp")
    with (
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, document in content.items():
            data = pickle.dumps(document, protocol=2)
            info = tarfile.TarInfo(f"{FOLDER}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    temporary.replace(file)
