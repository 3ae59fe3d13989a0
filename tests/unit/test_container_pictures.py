"""A channel is read as its .lst file says, and what does not fit is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from container_parts import drawn, write_channels

from scones_ops.container.pictures import ChannelInvalid, Pictures, read_channel


def read(folder: Path, classes: int = 2) -> Pictures:
    return read_channel(folder / "train", folder / "train_lst", classes)


@pytest.fixture
def channels(tmp_path: Path) -> Path:
    write_channels(tmp_path, train=2, validation=1)
    return tmp_path


def test_pictures_come_in_the_lists_order_as_rgb(channels: Path) -> None:
    pictures = read(channels)
    assert pictures.pixels.shape == (4, 32, 32, 3) and pictures.pixels.dtype == np.uint8
    assert pictures.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(pictures.pixels[3], np.asarray(drawn(1, 1)))


def test_a_grey_picture_becomes_rgb(channels: Path) -> None:
    drawn(0, 0).convert("L").save(channels / "train" / "wheel_0.png")
    assert read(channels).pixels.shape == (4, 32, 32, 3)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("0 0 wheel_0.png", "line 1"),
        ("0\tzero\twheel_0.png", "line 1"),
        ("0\t2\twheel_0.png", "label 2"),
        ("0\t0\tgone.png", r"gone\.png is in the \.lst"),
        ("0\t0\twheel_0.png", "no picture of class 1"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(channels: Path, line: str, fault: str) -> None:
    (channels / "train_lst" / "train.lst").write_text(line + "\n")
    with pytest.raises(ChannelInvalid, match=fault):
        read(channels)


def test_a_file_that_is_no_picture_or_of_another_size_is_named(channels: Path) -> None:
    broken = channels / "train" / "wheel_0.png"
    drawn(0, 0).resize((64, 32)).save(broken)
    with pytest.raises(ChannelInvalid, match=r"wheel_0\.png is 64x32"):
        read(channels)
    broken.write_bytes(b"\x89PNG")
    with pytest.raises(ChannelInvalid, match=r"wheel_0\.png is not a picture"):
        read(channels)


def test_a_channel_without_its_list_is_named(channels: Path) -> None:
    (channels / "train_lst" / "train.lst").unlink()
    with pytest.raises(ChannelInvalid, match="train_lst holds 0"):
        read(channels)
