"""Pictures of unknown origin: what serialize image makes of them, and what it refuses."""

from __future__ import annotations

import base64
import contextlib
import io
import re
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "lambdas/serialize_image")]
import picture  # noqa: E402

WORST_PAYLOAD = 200_000  # bytes of base64 text


def data_of(image: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def noise(width: int, height: int, channels: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return values.squeeze()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(224, 224), (225, 225), (448, 448), (900, 224), (223, 1000)])
def test_noise_the_worst_case_stays_below_200_kb_of_base64(size: tuple[int, int], channels: int) -> None:
    encoded = picture.encode(picture.open_picture(data_of(Image.fromarray(noise(*size, channels)))))
    assert len(base64.b64encode(encoded)) < WORST_PAYLOAD


def test_what_would_be_too_large_as_png_becomes_jpeg() -> None:
    encoded = picture.encode(Image.fromarray(noise(224, 224, 3)))
    assert encoded.startswith(b"\xff\xd8\xff")
    assert picture.encode(Image.fromarray(noise(200, 200, 3))).startswith(b"\x89PNG")


def test_a_small_picture_keeps_every_pixel() -> None:
    pixels = noise(32, 32, 3)
    encoded = picture.encode(picture.open_picture(data_of(Image.fromarray(pixels))))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encoded))), pixels)


def test_a_12_megapixel_photo_shrinks_in_proportion_and_fast() -> None:
    photo = Image.fromarray(noise(400, 300, 3)).resize((4000, 3000))
    data = data_of(photo, "JPEG")
    begun = time.monotonic()
    image = picture.open_picture(data)
    assert image.size == (224, 168)
    assert time.monotonic() - begun < 5


def test_exif_rotation_is_honoured() -> None:
    upright = Image.new("RGB", (400, 200), "blue")
    upright.paste("red", (0, 0, 400, 100))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned 90 degrees clockwise
    image = picture.open_picture(data_of(upright, "JPEG", exif=exif, quality=95))
    assert image.size == (112, 224)
    right, left = image.getpixel((100, 112)), image.getpixel((10, 112))
    assert right[0] > 200 and left[2] > 200


def test_transparent_parts_become_white() -> None:
    image = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    image.putpixel((0, 0), (255, 0, 0, 255))
    result = picture.open_picture(data_of(image))
    assert (result.getpixel((0, 0)), result.getpixel((5, 5))) == ((255, 0, 0), (255, 255, 255))


def test_a_palette_with_transparency_becomes_white_too() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    result = picture.open_picture(data_of(image, transparency=0))
    assert result.getpixel((1, 1)) == (255, 255, 255)


def test_16_bit_grey_keeps_its_shades() -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    result = np.asarray(picture.open_picture(data_of(Image.fromarray(values))))
    assert np.array_equal(result[..., 0], values // 256)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P"])
def test_usual_formats_and_modes_become_rgb(image_format: str, mode: str) -> None:
    if image_format in ("JPEG", "WEBP") and mode in ("1", "P"):
        mode = "L"
    image = picture.open_picture(data_of(Image.new("RGB", (20, 30), "teal").convert(mode), image_format))
    assert (image.mode, image.size) == ("RGB", (20, 30))


def test_a_phones_multi_picture_jpeg_is_read() -> None:
    pictures = [Image.new("RGB", (20, 30), colour) for colour in ("red", "blue")]
    data = data_of(pictures[0], "MPO", save_all=True, append_images=pictures[1:])
    assert picture.open_picture(data).getpixel((5, 5))[0] > 200


def test_cmyk_becomes_rgb() -> None:
    assert picture.open_picture(data_of(Image.new("CMYK", (5, 5)), "JPEG")).mode == "RGB"


def test_metadata_does_not_travel() -> None:
    exif = Image.Exif()
    exif[0x010E] = "description " * 1000
    data = data_of(Image.new("RGB", (16, 16)), "JPEG", exif=exif, icc_profile=b"\0" * 500_000)
    assert len(picture.encode(picture.open_picture(data))) < 1000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"just text",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        bytes(100_000),
    ],
    ids=["empty", "text", "png start", "jpeg start", "gif start", "eps", "svg", "zeros"],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(picture.PictureInvalid):
        picture.open_picture(data)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_refused(image_format: str, share: float) -> None:
    data = data_of(Image.fromarray(noise(100, 100, 3)), image_format)
    with pytest.raises(picture.PictureInvalid):
        picture.open_picture(data[: int(len(data) * share)])


def test_damaged_bytes_are_refused_or_read_but_never_raise_anything_else() -> None:
    rng = np.random.default_rng(1)
    for image_format in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        data = bytearray(data_of(Image.fromarray(noise(40, 40, 3)), image_format))
        for _ in range(150):
            damaged = bytearray(data)
            for position in rng.integers(0, len(damaged), 3):
                damaged[position] = int(rng.integers(0, 256))
            with contextlib.suppress(picture.PictureInvalid):
                picture.encode(picture.open_picture(bytes(damaged)))


def png_claiming(width: int, height: int) -> bytes:
    """Return a tiny PNG whose header claims `width` x `height` pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(8000, 8000), (50_000, 50_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(picture.PictureInvalid, match="pixels"):
        picture.open_picture(png_claiming(*size))


MEASURE = """
import re, sys
sys.path.insert(0, sys.argv[1])
import picture
with open(sys.argv[2], "rb") as file:
    picture.encode(picture.open_picture(file.read()))
# Not getrusage's ru_maxrss: Linux starts that at the size of the process that started this one.
with open("/proc/self/status") as file:
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", file.read())[1]) // 1024)
"""
RUNTIME_MB = 200  # Lambda's runtime with boto3, and the file's bytes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "image_format"),
    [("RGB", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"), ("I;16", "PNG"), ("I", "TIFF"), ("CMYK", "TIFF"),
     ("RGBA", "TIFF"), ("RGB", "WEBP"), ("P", "GIF")],
)  # fmt: skip
def test_the_largest_picture_that_is_read_fits_the_functions_memory(
    tmp_path: Path, mode: str, image_format: str
) -> None:
    terraform = (ROOT / "terraform/main.tf").read_text()
    memory = re.search(r"serialize_image = \{.*?memory_mb += (\d+)", terraform, re.DOTALL)
    assert memory
    size = (7400, 5400)
    assert 0.99 < size[0] * size[1] / picture.MAX_PIXELS <= 1
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned
    path = tmp_path / "picture"
    Image.new(mode, size).save(path, image_format, exif=exif)
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, ROOT / "lambdas/serialize_image", path],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(measured.stdout) + RUNTIME_MB <= int(memory[1])


@pytest.mark.parametrize("size", [(4000, 3000), (5712, 4284), (6000, 4000)])
def test_a_phones_photo_of_12_or_24_megapixels_is_read(size: tuple[int, int]) -> None:
    assert picture.open_picture(data_of(Image.new("RGB", size), "JPEG")).width == picture.MAX_SIDE


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_shapes_keep_at_least_a_pixel_a_side(size: tuple[int, int]) -> None:
    image = picture.open_picture(data_of(Image.new("RGB", size)))
    assert 1 <= min(image.size) <= max(image.size) <= picture.MAX_SIDE
