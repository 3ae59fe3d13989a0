"""Pictures drawn for the container tests: two classes that a network can tell apart at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

NAMES = ("wheel", "box", "line")


def drawn(label: int, seed: int) -> Image.Image:
    """A 32x32 RGB picture of class `label`: a ring, a filled box or a diagonal line, somewhere."""
    rng = np.random.default_rng([label, seed])
    picture = Image.fromarray(rng.integers(150, 255, (32, 32, 3), dtype=np.uint8))
    draw = ImageDraw.Draw(picture)
    x, y = (int(v) for v in rng.integers(2, 10, 2))
    colour = tuple(int(v) for v in rng.integers(0, 90, 3))
    place = (x, y, x + 18, y + 18)
    if label == 0:
        draw.ellipse(place, outline=colour, width=3)
    elif label == 1:
        draw.rectangle(place, fill=colour)
    else:
        draw.line(place, fill=colour, width=3)
    return picture


def write_channels(folder: Path, *, classes: int = 2, train: int = 12, validation: int = 4) -> dict[str, str]:
    """Write both splits, so many pictures a class; return the SM_* variables of a training job on them."""
    environment = {"SM_MODEL_DIR": str(folder / "model")}
    (folder / "model").mkdir(parents=True)
    for split, count, first in (("train", train, 0), ("validation", validation, 1000)):
        pictures, lists = folder / split, folder / f"{split}_lst"
        pictures.mkdir()
        lists.mkdir()
        rows = []
        for label in range(classes):
            for i in range(count):
                name = f"{NAMES[label]}_{i}.png"
                drawn(label, first + i).save(pictures / name)
                rows.append(f"{len(rows)}\t{label}\t{name}\n")
        (lists / f"{split}.lst").write_text("".join(rows))
        environment[f"SM_CHANNEL_{split.upper()}"] = str(pictures)
        environment[f"SM_CHANNEL_{split.upper()}_LST"] = str(lists)
    return environment
