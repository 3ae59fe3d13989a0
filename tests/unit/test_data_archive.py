"""Reading an archive: the pictures asked for, whatever the order of its parts, and clear refusals."""

from __future__ import annotations

import gzip
import importlib
import pickle
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_helpers import batch, content, meta, write_archive

from scones_ops.data import gunzip
from scones_ops.data.batches import read_archive
from scones_ops.data.classes import OFFICIAL, numbers_of
from scones_ops.errors import ArchiveInvalid, SconesError, SettingsInvalid

CLASSES = ("bicycle", "motorcycle")


@pytest.fixture(params=sorted({gunzip.inflater.__name__, "zlib"}))
def inflater(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test with the fast inflater, if it is installed, and with Python's own."""
    monkeypatch.setattr(gunzip, "inflater", importlib.import_module(request.param))


@pytest.mark.parametrize("python2", [True, False])
@pytest.mark.parametrize("order", [("train", "test", "meta"), ("meta", "test", "train")])
def test_only_the_pictures_of_the_classes_asked_for_come_out(
    tmp_path: Path, order: tuple[str, ...], python2: bool
) -> None:
    parts = content(per_class=60)
    file = write_archive(tmp_path / "a.tar.gz", {name: parts[name] for name in order}, python2=python2)
    found = read_archive(file, CLASSES)
    assert found.numbers == (8, 48)
    assert (found.train.total, found.test.total) == (180, 12)
    for split, kept in (("train", found.train), ("test", found.test)):
        wanted = [at for at, label in enumerate(parts[split][b"fine_labels"]) if label in (8, 48)]
        assert kept.names == tuple(parts[split][b"filenames"][at].decode() for at in wanted)
        assert kept.labels == tuple(parts[split][b"fine_labels"][at] for at in wanted)
        np.testing.assert_array_equal(kept.rows, parts[split][b"data"][wanted])


def test_data_before_the_labels_gives_the_same_pictures(tmp_path: Path) -> None:
    parts = content(per_class=60)
    turned = {name: dict(reversed(part.items())) for name, part in parts.items()}
    one = read_archive(write_archive(tmp_path / "a.tar.gz", parts), CLASSES)
    two = read_archive(write_archive(tmp_path / "b.tar.gz", turned), CLASSES)
    np.testing.assert_array_equal(one.train.rows, two.train.rows)


def test_the_order_of_the_classes_is_the_order_of_their_numbers(tmp_path: Path) -> None:
    file = write_archive(tmp_path / "a.tar.gz", content())
    assert read_archive(file, ("motorcycle", "bus", "bicycle")).numbers == (48, 13, 8)


def test_an_archive_with_names_of_its_own_is_read_by_its_meta(tmp_path: Path) -> None:
    names = ("van", "bicycle", "cargo_bike")
    parts = {
        "train": batch(["van", "cargo_bike"], 5, 1, names),
        "test": batch(["van", "cargo_bike"], 3, 2, names),
        "meta": meta(names),
    }
    found = read_archive(write_archive(tmp_path / "a.tar.gz", parts), ("cargo_bike", "van"))
    assert found.numbers == (2, 0)
    assert len(found.train.names) == 10


def test_an_unknown_class_gets_the_close_names_and_the_whole_list(tmp_path: Path) -> None:
    file = write_archive(tmp_path / "a.tar.gz", content())
    with pytest.raises(
        SettingsInvalid, match=r"'bycicle'.*did you mean bicycle.*apple, aquarium_fish"
    ) as error:
        read_archive(file, ("bycicle", "motorcycle"))
    assert "\n" not in str(error.value)


def test_a_class_without_pictures_is_named(tmp_path: Path) -> None:
    file = write_archive(tmp_path / "a.tar.gz", content())
    with pytest.raises(ArchiveInvalid, match="no train picture of apple"):
        read_archive(file, ("bicycle", "apple"))


def test_the_official_names_are_a_hundred_in_alphabetical_order() -> None:
    assert len(OFFICIAL) == 100
    assert list(OFFICIAL) == sorted(OFFICIAL)
    assert numbers_of(CLASSES, OFFICIAL) == (8, 48)


def test_names_that_come_twice_keep_both_pictures(tmp_path: Path) -> None:
    parts = content()
    parts["test"][b"filenames"] = [b"a.png", b"a-2.png"] + [b"a.png"] * 10
    names = read_archive(
        write_archive(tmp_path / "a.tar.gz", parts), ("bicycle", "motorcycle", "bus")
    ).test.names
    assert len(set(names)) == 12
    assert names[:3] == ("a.png", "a-2.png", "a-3.png")


@pytest.mark.parametrize(
    "name", [b"../../evil.png", b"/etc/passwd", b".hidden.png", b"a\tb.png", b"a\nb.png", b""]
)
def test_a_file_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: bytes) -> None:
    parts = content()
    parts["train"][b"filenames"] = [name] * 30
    with pytest.raises(ArchiveInvalid, match="no plain file name"):
        read_archive(write_archive(tmp_path / "a.tar.gz", parts), CLASSES)


def broken(parts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Archives whose parts do not fit together, by what is wrong."""
    train = parts["train"]

    def but(**changes: Any) -> dict[str, Any]:
        return {**parts, "train": {**train, **{key.encode(): value for key, value in changes.items()}}}

    return {
        "fewer labels": but(fine_labels=train[b"fine_labels"][:-1]),
        "fewer names": but(filenames=train[b"filenames"][:-1]),
        "fewer rows": but(data=train[b"data"][:-1]),
        "narrow rows": but(data=train[b"data"][:, :-1].copy()),
        "numbers instead of bytes": but(data=train[b"data"].astype(np.int64)),
        "a label out of range": but(fine_labels=[*train[b"fine_labels"][:-1], 200]),
        "a label that is text": but(fine_labels=[*train[b"fine_labels"][:-1], b"8"]),
        "no labels": {
            **parts,
            "train": {key: value for key, value in train.items() if key != b"fine_labels"},
        },
        "a list instead of a dict": {**parts, "train": [1, 2]},
        "a hostile train": {**parts, "train": b"\x80\x02cos\nsystem\nU\x04true\x85R."},
        "a hostile meta": {**parts, "meta": b"\x80\x02cos\nsystem\nU\x04true\x85R."},
        "no names": {**parts, "meta": {b"fine_label_names": []}},
        "no test": {name: part for name, part in parts.items() if name != "test"},
        "no meta": {name: part for name, part in parts.items() if name != "meta"},
        "nothing": {},
    }


@pytest.mark.parametrize("fault", sorted(broken(content())))
def test_parts_that_do_not_fit_together_are_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    file = write_archive(tmp_path / "a.tar.gz", broken(content())[fault])
    with pytest.raises(ArchiveInvalid) as refusal:
        read_archive(file, CLASSES)
    assert "\n" not in str(refusal.value)


def test_another_data_set_is_told_from_cifar_100(tmp_path: Path) -> None:
    file = write_archive(tmp_path / "a.tar.gz", content(), folder="cifar-10-batches-py")
    with pytest.raises(ArchiveInvalid, match=r"holds cifar-10-batches-py/train.*CIFAR-100's python version"):
        read_archive(file, CLASSES)


@pytest.mark.usefixtures("inflater")
def test_an_archive_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = write_archive(tmp_path / "a.tar.gz", content(per_class=2)).read_bytes()
    file = tmp_path / "cut.tar.gz"
    for end in range(0, len(whole), len(whole) // 25):
        file.write_bytes(whole[:end])
        with pytest.raises(SconesError):
            read_archive(file, CLASSES)
    file.write_bytes(whole[:-1])
    with pytest.raises(ArchiveInvalid, match="cut off"):
        read_archive(file, CLASSES)


@pytest.mark.usefixtures("inflater")
def test_a_changed_byte_is_noticed_by_gzips_own_checksum(tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    with gzip.open(file, "wb", compresslevel=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, part in content().items():
            (tmp_path / name).write_bytes(pickle.dumps(part, protocol=2))
            tar.add(tmp_path / name, f"cifar-100-python/{name}")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ArchiveInvalid, match="damaged"):
        read_archive(file, CLASSES)


@pytest.mark.usefixtures("inflater")
@pytest.mark.parametrize("data", [b"", b"<html>sign in</html>", gzip.compress(b"no tar" * 200), bytes(5000)])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.tar.gz"
    file.write_bytes(data)
    with pytest.raises(ArchiveInvalid):
        read_archive(file, CLASSES)


@pytest.mark.usefixtures("inflater")
def test_a_gzip_file_of_several_parts_or_with_padding_is_read_to_its_end(tmp_path: Path) -> None:
    whole = write_archive(tmp_path / "a.tar.gz", content())
    tar, file = gzip.decompress(whole.read_bytes()), tmp_path / "parts.tar.gz"
    file.write_bytes(
        b"".join(gzip.compress(tar[at : at + 50_000]) for at in range(0, len(tar), 50_000)) + bytes(99)
    )
    one, two = read_archive(whole, CLASSES), read_archive(file, CLASSES)
    assert one.train.names == two.train.names
    np.testing.assert_array_equal(one.test.rows, two.test.rows)


def test_pictures_of_other_classes_take_no_memory(tmp_path: Path) -> None:
    names = ["bicycle", "motorcycle", *[f"other{i}" for i in range(98)]]
    count = 10_000
    train = {
        b"filenames": [b"a.png"] * count,
        b"fine_labels": [i % 100 for i in range(count)],
        b"data": np.zeros((count, 3072), np.uint8),
    }
    parts = {"train": train, "test": batch(CLASSES, 2, 1, names), "meta": meta(names)}
    file = write_archive(tmp_path / "a.tar.gz", parts)
    del train, parts
    tracemalloc.start()
    try:
        found = read_archive(file, CLASSES)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.train.names) == 200
    assert peak < count * 3072 / 2
