"""Opens pictures of unknown origin, and encodes them small."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

MAX_SIDE = 224  # pixels
MAX_PIXELS = 40_000_000  # of the source; Pillow holds 4 bytes for each, up to four times at once
MAX_ENCODED_BYTES = 140_000  # 186,668 as base64

# What cameras and browsers make; not all that Pillow reads, since EPS would run Ghostscript. The plugins are
# imported by name: Pillow by itself loads most decoders only when it is asked for any format.
FORMATS = tuple(
    plugin.format
    for plugin in (
        PngImagePlugin.PngImageFile,
        JpegImagePlugin.JpegImageFile,
        WebPImagePlugin.WebPImageFile,
        GifImagePlugin.GifImageFile,
        BmpImagePlugin.BmpImageFile,
        TiffImagePlugin.TiffImageFile,
    )
)

# What Pillow's decoders raise on bytes that are not what they claim to be.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError,
          struct.error, zlib.error, Image.DecompressionBombError)  # fmt: skip


class PictureInvalid(Exception):
    """The bytes are no picture that can be used; the message goes on from the picture's name."""


def open_picture(data: bytes) -> Image.Image:
    """Return the picture in `data`, upright, RGB, at most MAX_SIDE a side; smaller ones keep their size.

    Transparent parts become white. Raises PictureInvalid.
    """
    if not data:
        raise PictureInvalid("is empty")
    try:
        source = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise PictureInvalid(f"has more than the {MAX_PIXELS:,} pixels that are read") from None
    except BROKEN:
        raise PictureInvalid(f"is not a picture: {', '.join(FORMATS)} are read") from None
    if source.width * source.height > MAX_PIXELS:
        raise PictureInvalid(
            f"has {source.width} x {source.height} pixels, more than the {MAX_PIXELS:,} that are read"
        )
    try:
        # JPEG decodes straight to a size nearby: a twelfth of the time and memory for a phone's photo.
        source.draft("RGB", (2 * MAX_SIDE, 2 * MAX_SIDE))
        source.load()
        ImageOps.exif_transpose(source, in_place=True)
        image = _shrink(source)
    except BROKEN as error:
        raise PictureInvalid(f"cannot be decoded: {' '.join(str(error).split())}") from None
    return image


def encode(image: Image.Image) -> bytes:
    """Return the RGB `image` as PNG, or as JPEG where PNG would pass MAX_ENCODED_BYTES."""
    encoded = _save(image, "PNG")
    for quality in (95, 85, 70):
        if len(encoded) <= MAX_ENCODED_BYTES:
            break
        encoded = _save(image, "JPEG", quality=quality)
    return encoded


def _save(image: Image.Image, image_format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def _shrink(image: Image.Image) -> Image.Image:
    """Return `image` as RGB on white, at most MAX_SIDE a side, without its metadata.

    A colour profile alone can be megabytes. No step copies the large picture where it need not, since the
    function's memory is its price.
    """
    if image.mode.startswith("I"):  # 16 bits a pixel; convert() would clip it to white
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    image.info = {}
    return image
