"""The pictures of a channel, as SageMaker lays them out: PNG files in one folder, a .lst file in another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = 32


@dataclass(frozen=True)
class Pictures:
    """`pixels` is `(n, 32, 32, 3) uint8` RGB, `labels` `(n,) int64` class indices."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


class ChannelInvalid(Exception):
    """A channel is not what this script trains on; the message becomes the job's failure reason."""


def read_channel(folder: Path, list_folder: Path, classes: int) -> Pictures:
    """Return the pictures that the .lst file in `list_folder` names, in its order; paths are under `folder`.

    Raises ChannelInvalid where a line, a label or a picture cannot be used.
    """
    files = sorted(list_folder.glob("*.lst"))
    if len(files) != 1:
        raise ChannelInvalid(f"{list_folder} holds {len(files)} .lst files: it must hold one")
    pixels: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for number, line in enumerate(files[0].read_text().splitlines(), start=1):
        try:
            _, label_text, path = line.split("\t")
            label = int(label_text)
        except ValueError:
            raise ChannelInvalid(f"{files[0].name}, line {number}: not index, label, path by tabs") from None
        if not 0 <= label < classes:
            raise ChannelInvalid(
                f"{files[0].name}, line {number}: label {label}, but there are {classes} classes"
            )
        pixels.append(read_picture(folder / path))
        labels.append(label)
    missing = sorted(set(range(classes)) - set(labels))
    if missing:
        raise ChannelInvalid(f"{files[0].name}: no picture of class {missing[0]}")
    return Pictures(np.stack(pixels), np.array(labels, dtype=np.int64))


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Return one picture as `(32, 32, 3) uint8` RGB."""
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except FileNotFoundError:
        raise ChannelInvalid(f"{path.name} is in the .lst file but not in the channel") from None
    except OSError as error:
        raise ChannelInvalid(f"{path.name} is not a picture: {error}") from None
    if pixels.shape != (SIZE, SIZE, 3):
        raise ChannelInvalid(
            f"{path.name} is {pixels.shape[1]}x{pixels.shape[0]} px: it must be {SIZE}x{SIZE}"
        )
    return pixels
