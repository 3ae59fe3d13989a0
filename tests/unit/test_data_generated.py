"""The drawn data set: repeatable, in the archive's layout, varied, and worth learning from."""

from __future__ import annotations

import pickle
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from data_helpers import settings_in

from scones_ops.data import generated
from scones_ops.data.batches import read_archive
from scones_ops.data.drawing import VEHICLES, draw_vehicle
from scones_ops.data.generated import PER_CLASS, generate_archive
from scones_ops.errors import SettingsInvalid


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "PER_CLASS", {"train": 12, "test": 5})


def test_there_are_as_many_as_in_the_official_archive() -> None:
    assert PER_CLASS == {"train": 500, "test": 100}


@pytest.mark.usefixtures("few")
def test_the_archive_has_the_official_layout(tmp_path: Path) -> None:
    archive = generate_archive(settings_in(tmp_path))
    with tarfile.open(archive.file) as tar:
        assert tar.getnames() == [f"cifar-100-python/{name}" for name in ("train", "test", "meta")]
        member = tar.extractfile("cifar-100-python/train")
        assert member is not None
        train = pickle.load(member, encoding="bytes")
    assert set(train) == {b"filenames", b"batch_label", b"fine_labels", b"coarse_labels", b"data"}
    assert (train[b"data"].shape, train[b"data"].dtype) == ((24, 3072), np.uint8)
    assert Counter(train[b"fine_labels"]) == {8: 12, 48: 12}
    assert train[b"fine_labels"] != sorted(train[b"fine_labels"])
    assert archive.kind == "generated"
    assert len(set(train[b"filenames"])) == 24


@pytest.mark.usefixtures("few")
def test_the_same_seed_draws_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    one = generate_archive(settings_in(tmp_path / "one")).file.read_bytes()
    assert generate_archive(settings_in(tmp_path / "two")).file.read_bytes() == one
    assert generate_archive(settings_in(tmp_path / "three", seed="1")).file.read_bytes() != one


@pytest.mark.usefixtures("few")
def test_it_is_drawn_once_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = generate_archive(settings_in(tmp_path)).file
    assert "generated data" in capsys.readouterr().out
    before = file.stat().st_mtime_ns
    assert generate_archive(settings_in(tmp_path)).file.stat().st_mtime_ns == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.usefixtures("few")
def test_other_classes_have_an_archive_of_their_own(tmp_path: Path) -> None:
    two = generate_archive(settings_in(tmp_path))
    three = generate_archive(settings_in(tmp_path, classes="bus,motorcycle,bicycle"))
    assert two.file != three.file
    assert read_archive(three.file, ("bus", "bicycle")).numbers == (13, 8)


def test_a_class_that_cannot_be_drawn_names_those_that_can(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"apple, and only bicycle, bus, motorcycle can be drawn"):
        generate_archive(settings_in(tmp_path, classes="bicycle,apple"))


@pytest.mark.parametrize("name", sorted(VEHICLES))
def test_no_two_drawn_pictures_are_alike(name: str) -> None:
    rows = np.stack([draw_vehicle(name, np.random.default_rng([1, at])) for at in range(40)]).astype(float)
    assert rows.shape == (40, 3072)
    distances = np.sqrt(((rows[:, None] - rows[None]) ** 2).mean(axis=2))
    assert distances[~np.eye(40, dtype=bool)].min() > 8
    assert rows.std(axis=1).min() > 3


def test_the_classes_cannot_be_told_apart_by_colour_alone() -> None:
    """A classifier must look at the shape: mean colours say next to nothing."""
    means = {
        name: np.stack(
            [
                draw_vehicle(name, np.random.default_rng([2, n, at])).reshape(3, -1).mean(1)
                for at in range(150)
            ]
        )
        for n, name in enumerate(("bicycle", "motorcycle"))
    }
    gap = abs(means["bicycle"].mean(0) - means["motorcycle"].mean(0))
    assert (gap < 0.6 * means["bicycle"].std(0)).all()
