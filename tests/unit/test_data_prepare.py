"""The data set on disk: split, complete, repeatable, and never half-made."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_helpers import Site, content, serving, settings_in, write_archive
from PIL import Image

from scones_ops.data import generated, load_dataset, prepare, prepare_dataset
from scones_ops.data.dataset import SPLITS, Dataset
from scones_ops.data.prepare import png_bytes, split_validation
from scones_ops.errors import ArchiveInvalid, ArchiveUnreachable, DatasetInvalid, SettingsInvalid
from scones_ops.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    archive = write_archive(tmp_path / "cifar-100-python.tar.gz", content(per_class=30))
    return settings_in(
        tmp_path, archive=str(archive), classes="bicycle,motorcycle", validation_fraction="0.2"
    )


def made(settings: Settings) -> Dataset:
    return prepare_dataset(settings, allow_generated=False)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_pictures_on_disk_are_the_archives_pixels_under_its_names(settings: Settings) -> None:
    dataset = made(settings)
    source = content(per_class=30)
    for picture in dataset.pictures:
        part = source["test" if picture.split == "test" else "train"]
        row = part[b"filenames"].index(picture.name.encode())
        with Image.open(dataset.file(picture)) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (32, 32))
            pixels = np.asarray(image)
        np.testing.assert_array_equal(pixels[:, :, 1].ravel(), part[b"data"][row][1024:2048])
        assert part[b"fine_labels"][row] == {0: 8, 1: 48}[picture.label]


def test_validation_is_a_share_of_every_class_of_train_and_test_stays_test(settings: Settings) -> None:
    dataset = made(settings)
    assert dataset.counts == {
        "train": {"bicycle": 24, "motorcycle": 24},
        "validation": {"bicycle": 6, "motorcycle": 6},
        "test": {"bicycle": 4, "motorcycle": 4},
    }
    source = content(per_class=30)
    assert {p.name.encode() for p in dataset.split("test")} <= set(source["test"][b"filenames"])
    assert {p.name.encode() for p in dataset.split("validation")} <= set(source["train"][b"filenames"])
    assert not {p.name for p in dataset.split("validation")} & {p.name for p in dataset.split("train")}


def test_the_split_follows_from_names_and_seed_and_not_from_their_order() -> None:
    names, labels = [f"{i}.png" for i in range(100)], [i % 2 for i in range(100)]
    chosen = split_validation(names, labels, 0.1, seed=0)
    assert Counter(label for label, mine in zip(labels, chosen, strict=True) if mine) == {0: 5, 1: 5}
    turned = split_validation(names[::-1], labels[::-1], 0.1, seed=0)
    assert turned[::-1] == chosen
    assert split_validation(names, labels, 0.1, seed=1) != chosen


def test_a_class_keeps_a_picture_on_either_side_of_the_split() -> None:
    assert sum(split_validation(["a", "b"], [0, 0], 0.01, seed=0)) == 1
    assert sum(split_validation(["a", "b"], [0, 0], 0.99, seed=0)) == 1
    with pytest.raises(ArchiveInvalid, match="fewer than two"):
        split_validation(["a"], [0], 0.1, seed=0)


def test_the_lst_files_are_what_sagemakers_image_classification_reads(settings: Settings) -> None:
    dataset = made(settings)
    for split in SPLITS:
        lines = (dataset.folder / f"{split}.lst").read_text().splitlines()
        rows = [line.split("\t") for line in lines]
        assert [int(row[0]) for row in rows] == list(range(len(dataset.split(split))))
        assert [(int(row[1]), row[2]) for row in rows] == [(p.label, p.name) for p in dataset.split(split)]
        assert all((dataset.folder / split / row[2]).is_file() for row in rows)


def test_the_manifest_tells_where_every_byte_came_from(settings: Settings) -> None:
    dataset = made(settings)
    manifest = json.loads((dataset.folder / "dataset.json").read_text())
    archive = Path(settings.archive)
    assert manifest["dataset_id"] == dataset.dataset_id
    assert manifest["classes"] == ["bicycle", "motorcycle"]
    assert manifest["generated"] is False
    assert manifest["source"] == {
        "kind": "archive",
        "name": archive.name,
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "size": archive.stat().st_size,
    }
    assert manifest["image_size"] == [32, 32]
    for item in manifest["files"]:
        assert hashlib.sha256((dataset.folder / item["path"]).read_bytes()).hexdigest() == item["sha256"]
    assert str(archive.parent) not in (dataset.folder / "dataset.json").read_text()


def test_what_is_loaded_is_what_was_prepared(settings: Settings) -> None:
    assert made(settings) == load_dataset(settings.dataset_dir)


def test_the_same_inputs_again_change_nothing_and_take_no_time(settings: Settings) -> None:
    first = made(settings)
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    started = time.perf_counter()
    assert made(settings) == first
    assert time.perf_counter() - started < 1
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")} == before


def test_the_same_archive_gives_the_same_bytes_anywhere(settings: Settings, tmp_path: Path) -> None:
    one = made(settings)
    two = made(replace(settings, build_root=tmp_path / "elsewhere"))
    assert one.dataset_id == two.dataset_id
    old, new = snapshot(one.folder), snapshot(two.folder)
    assert old == new


@pytest.mark.parametrize(
    "change",
    [{"classes": ("motorcycle", "bicycle")}, {"classes": ("bus", "bicycle")}, {"validation_fraction": 0.5},
     {"seed": 3}],
)  # fmt: skip
def test_a_changed_setting_makes_another_data_set(settings: Settings, change: dict[str, object]) -> None:
    first = made(settings)
    second = made(replace(settings, **change))
    assert second.dataset_id != first.dataset_id
    assert load_dataset(settings.dataset_dir) == second
    assert made(settings).dataset_id == first.dataset_id


def test_a_changed_archive_makes_another_data_set(settings: Settings) -> None:
    first = made(settings)
    write_archive(Path(settings.archive), content(per_class=20))
    assert made(settings).dataset_id != first.dataset_id


def test_a_missing_picture_or_a_damaged_manifest_is_noticed_and_mended(settings: Settings) -> None:
    first = made(settings)
    lost = first.file(first.pictures[0])
    lost.unlink()
    with pytest.raises(DatasetInvalid, match=f"1 pictures are missing.*{lost.name}"):
        load_dataset(first.folder)
    assert made(settings) == first
    assert lost.is_file()
    (first.folder / "dataset.json").write_text("{")
    with pytest.raises(DatasetInvalid, match="damaged"):
        load_dataset(first.folder)
    assert made(settings) == first


def test_a_folder_without_a_data_set_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="make data"):
        load_dataset(tmp_path)


def test_an_edited_manifest_is_not_trusted(settings: Settings) -> None:
    dataset = made(settings)
    file = dataset.folder / "dataset.json"
    file.write_text(file.read_text().replace('"label": 1', '"label": 0', 1))
    with pytest.raises(DatasetInvalid, match="damaged"):
        load_dataset(dataset.folder)


@pytest.mark.parametrize("at", [0, 1, 30])
def test_interrupted_while_writing_it_leaves_the_old_data_set_and_no_rest(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    first = made(settings)
    before = snapshot(first.folder)
    calls = iter(range(1000))

    def interrupted(pixels: object) -> bytes:
        if next(calls) == at:
            raise KeyboardInterrupt
        return png_bytes(pixels)  # type: ignore[arg-type]

    monkeypatch.setattr(prepare, "png_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made(replace(settings, seed=5))
    monkeypatch.undo()
    assert snapshot(first.folder) == before
    assert sorted(path.name for path in first.folder.parent.iterdir()) == [".dataset.lock", "dataset"]
    assert made(replace(settings, seed=5)).dataset_id != first.dataset_id


def test_interrupted_between_the_renames_the_old_data_set_comes_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(settings)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if self.name.endswith(".tmp"):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made(replace(settings, seed=5))
    assert load_dataset(settings.dataset_dir) == first


def test_killed_between_the_renames_the_next_run_puts_it_right(settings: Settings) -> None:
    first = made(settings)
    first.folder.rename(first.folder.with_name(".dataset-old"))
    (first.folder.parent / ".dataset-abc.tmp").mkdir()
    assert made(settings) == first
    assert sorted(path.name for path in first.folder.parent.iterdir()) == [".dataset.lock", "dataset"]


def test_a_failing_archive_leaves_the_old_data_set(settings: Settings, tmp_path: Path) -> None:
    first = made(settings)
    before = snapshot(first.folder)
    other = tmp_path / "cut.tar.gz"
    other.write_bytes(Path(settings.archive).read_bytes()[:5000])
    with pytest.raises(ArchiveInvalid, match="cut off"):
        made(replace(settings, archive=str(other)))
    assert snapshot(first.folder) == before
    assert other.exists()


def test_a_downloaded_archive_that_is_none_is_removed_so_that_the_next_run_fetches_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(Site(b"<html>sign in</html>")) as site:
        settings = settings_in(tmp_path, archive=site.url)
        with pytest.raises(ArchiveInvalid, match="no gzip file"):
            made(settings)
        site.body = write_archive(tmp_path / "a.tar.gz", content()).read_bytes()
        assert len(made(settings).split("test")) == 8


def unreachable(*_: object, **__: object) -> None:
    raise ArchiveUnreachable("the official archive cannot be had: check the network")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """No official archive, and few drawn pictures."""
    monkeypatch.setattr(prepare, "obtain_archive", unreachable)
    monkeypatch.setattr(generated, "PER_CLASS", {"train": 10, "test": 4})


@pytest.mark.usefixtures("few")
def test_without_the_official_archive_drawn_pictures_say_so_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = prepare_dataset(settings_in(tmp_path), allow_generated=True)
    assert dataset.generated
    assert dataset.source.kind == "generated"
    assert dataset.describe()["generated"] is True
    assert json.loads((dataset.folder / "dataset.json").read_text())["generated"] is True
    assert all("generated" in picture.name for picture in dataset.pictures)
    said = capsys.readouterr().out.splitlines()
    assert "generated data" in said[-1]
    assert "says nothing about CIFAR-100" in said[-1]
    assert load_dataset(dataset.folder).generated


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("allowed", "changes"), [(False, {}), (True, {"target": "aws"}), (True, {"archive": "/no/such.tar.gz"})]
)
def test_drawn_pictures_never_stand_in_where_they_may_not(
    tmp_path: Path, allowed: bool, changes: dict[str, str]
) -> None:
    with pytest.raises(ArchiveUnreachable):
        prepare_dataset(settings_in(tmp_path, **changes), allow_generated=allowed)
    assert not (tmp_path / "build" / "dataset").exists()


@pytest.mark.usefixtures("few")
def test_the_real_archive_replaces_drawn_pictures_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prepare_dataset(settings_in(tmp_path), allow_generated=True).generated
    monkeypatch.undo()
    archive = write_archive(tmp_path / "a.tar.gz", content())
    dataset = prepare_dataset(settings_in(tmp_path, archive=str(archive)), allow_generated=True)
    assert not dataset.generated
    assert not any("generated" in path.name for path in dataset.folder.rglob("*"))


def test_a_misspelt_class_is_told_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "obtain_archive", unreachable)
    with pytest.raises(SettingsInvalid, match="did you mean motorcycle"):
        prepare_dataset(settings_in(tmp_path, classes="bicycle,motorcyle"), allow_generated=False)


def test_a_png_is_the_same_bytes_every_time() -> None:
    row = np.arange(3072, dtype=np.uint16).astype(np.uint8)
    data = png_bytes(row)
    assert data == png_bytes(row.copy())
    with Image.open(io.BytesIO(data)) as image:
        red = np.asarray(image)[:, :, 0]
    np.testing.assert_array_equal(red.ravel(), row[:1024])


def test_the_folder_can_be_read_by_others(settings: Settings) -> None:
    assert made(settings).folder.stat().st_mode & 0o777 == 0o755
