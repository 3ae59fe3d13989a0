"""The prepared data set as it travels: frozen dataclasses, and `dataset.json`, their form in files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scones_ops.errors import DatasetInvalid

SPLITS = ("train", "validation", "test")
IMAGE_SIZE = (32, 32)
MANIFEST = "dataset.json"
GENERATED_NOTE = "generated data: its accuracy says nothing about CIFAR-100"


@dataclass(frozen=True)
class Picture:
    """One picture: `path` is relative to the data set's folder, `label` is the index into its classes."""

    path: str
    label: int
    sha256: str
    split: str

    @property
    def name(self) -> str:
        """The file's name, as in the archive."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Source:
    """Where the pictures came from; `kind` is "archive" or "generated", `size` is in bytes."""

    kind: str
    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Dataset:
    """A complete data set in `folder`; `dataset_id` changes when any class, picture, label or split does."""

    folder: Path
    dataset_id: str
    classes: tuple[str, ...]
    source: Source
    pictures: tuple[Picture, ...]

    @property
    def generated(self) -> bool:
        """True where the pictures are drawn, so that every number from them must be named as such."""
        return self.source.kind == "generated"

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return IMAGE_SIZE

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Pictures by split, then by class."""
        found = {split: dict.fromkeys(self.classes, 0) for split in SPLITS}
        for picture in self.pictures:
            found[picture.split][self.classes[picture.label]] += 1
        return found

    def split(self, name: str) -> tuple[Picture, ...]:
        """The pictures of one split ("train", "validation" or "test"), in the order of its .lst file."""
        return tuple(picture for picture in self.pictures if picture.split == name)

    def file(self, picture: Picture) -> Path:
        """Where `picture` lies on disk."""
        return self.folder / picture.path

    def describe(self) -> dict[str, Any]:
        """What a model's manifest keeps of its data set: `dataset_id`, `generated` and `source`."""
        return {"dataset_id": self.dataset_id, "generated": self.generated, "source": asdict(self.source)}

    def summary(self) -> str:
        """One line for the terminal: id, pictures by split, classes, and whether they are generated."""
        counts = ", ".join(f"{len(self.split(name))} {name}" for name in SPLITS)
        note = f" ({GENERATED_NOTE})" if self.generated else ""
        return f"data set {self.dataset_id}: {counts}; {', '.join(self.classes)}{note}"

    def manifest(self) -> bytes:
        """The bytes of `dataset.json`."""
        return _json_bytes(
            {
                "dataset_id": self.dataset_id,
                "classes": list(self.classes),
                "source": asdict(self.source),
                "generated": self.generated,
                "counts": self.counts,
                "image_size": list(self.image_size),
                "files": [asdict(picture) for picture in self.pictures],
            }
        )


def content_id(classes: Sequence[str], pictures: Iterable[Picture]) -> str:
    """Return 12 hex digits naming this content: classes in order, each picture's bytes, label, split."""
    content = [list(classes), [[p.path, p.label, p.sha256, p.split] for p in pictures]]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()[:12]


def list_file(pictures: Iterable[Picture]) -> bytes:
    """Return a .lst file: index, label and path, tab-separated, one picture a line.

    The path is relative to the split's own folder, because SageMaker's image-classification joins it to the
    channel (`train` = `datasets/<id>/train`):
    https://docs.aws.amazon.com/sagemaker/latest/dg/image-classification.html
    """
    return "".join(f"{i}\t{p.label}\t{p.name}\n" for i, p in enumerate(pictures)).encode()


def load_dataset(folder: Path) -> Dataset:
    """Return the data set prepared in `folder`.

    Raises DatasetInvalid where there is none, or where a picture of it is missing.
    """
    try:
        dataset = from_manifest(folder, json.loads((folder / MANIFEST).read_bytes()))
    except FileNotFoundError:
        raise DatasetInvalid(f"{folder} holds no data set: prepare one with `make data`") from None
    except (ValueError, KeyError, TypeError, IndexError):
        raise DatasetInvalid(
            f"{folder / MANIFEST} is damaged: remove {folder} and prepare it again with `make data`"
        ) from None
    for split in SPLITS:
        here = folder / split
        present = {entry.name for entry in here.iterdir()} if here.is_dir() else set()
        missing = sorted({picture.name for picture in dataset.split(split)} - present)
        if missing:
            raise DatasetInvalid(
                f"{len(missing)} pictures are missing from {here} (first: {missing[0]}): "
                f"remove {folder} and prepare it again with `make data`"
            )
    return dataset


def from_manifest(folder: Path, document: Mapping[str, Any]) -> Dataset:
    """Return the data set that `document`, a parsed dataset.json, describes; ValueError if inconsistent."""
    pictures = tuple(Picture(**item) for item in document["files"])
    dataset = Dataset(
        folder=folder,
        dataset_id=document["dataset_id"],
        classes=tuple(document["classes"]),
        source=Source(**document["source"]),
        pictures=pictures,
    )
    if content_id(dataset.classes, pictures) != dataset.dataset_id or dataset.counts != document["counts"]:
        raise ValueError("the content does not match dataset_id")
    return dataset


def _json_bytes(document: Mapping[str, Any]) -> bytes:
    """One entry a line for the files, so that a diff of two manifests is readable."""
    head = dict(document)
    files = head.pop("files")
    body = json.dumps(head, indent=1)[:-2]
    rows = ",\n  ".join(json.dumps(item) for item in files)
    return f'{body},\n "files": [\n  {rows}\n ]\n}}\n'.encode()
