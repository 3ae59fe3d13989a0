"""What the endpoint runs: one picture in, a JSON list of probabilities in class order out.

The four functions are the PyTorch inference toolkit's (https://github.com/aws/sagemaker-pytorch-inference-toolkit);
none takes the optional `context`, so both its old and its new calling convention fit. An error answers 4xx
with its reason in the first line of the body. Needs onnxruntime, numpy and Pillow; no torch.
"""

from __future__ import annotations

import io
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageOps
from sagemaker_inference.errors import GenericInferenceToolkitError

CONTENT_TYPES = ("image/png", "image/jpeg", "image/jpg", "application/x-image")
FORMATS = ("PNG", "JPEG")
MOST_PIXELS = 50_000_000  # a 48-megapixel phone photo passes, a decompression bomb does not
# One picture takes milliseconds, too little to share out; several requests run beside each other.
THREADS = int(os.environ.get("ONNX_THREADS", "1"))


@dataclass(frozen=True)
class Model:
    """The session, and the size (width, height) its input has."""

    session: onnxruntime.InferenceSession
    size: tuple[int, int]


def model_fn(model_dir: str) -> Model:
    """Return the model in `model_dir`, ready to run."""
    folder = Path(model_dir)
    facts = json.loads((folder / "model.json").read_text())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    width, height = facts["input_size"]
    return Model(session, (width, height))


def input_fn(body: bytes | bytearray | str, content_type: str | None) -> Image.Image:
    """Return the picture in `body`, upright and RGB; refuses other types (415) and no pictures (400)."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind not in CONTENT_TYPES:
        raise refuse(
            415, f"content type {kind or 'missing'} is not supported: send {', '.join(CONTENT_TYPES)}"
        )
    if isinstance(body, str) or not body:
        raise refuse(400, "the body is empty or text: send the bytes of a PNG or JPEG picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(bytes(body)), formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > MOST_PIXELS:
                    raise refuse(
                        400, f"the picture is {width}x{height} px: send at most {MOST_PIXELS} pixels"
                    )
                return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise refuse(400, f"the body is not a PNG or JPEG picture that can be read: {reason}") from None


def predict_fn(picture: Image.Image, model: Model) -> NDArray[np.float32]:
    """Return `(classes,)` probabilities of the whole picture, shrunk to the model's size."""
    pixels = np.asarray(shrink(picture, model.size), dtype=np.uint8)[None]
    (probabilities,) = model.session.run(None, {"pixels": pixels})
    answer: NDArray[np.float32] = probabilities[0]
    return answer


def output_fn(probabilities: NDArray[np.float32], accept: str) -> tuple[str, str]:
    """Return the JSON list and its content type. Answers 406 where the client takes no JSON."""
    kinds = {part.partition(";")[0].strip().lower() for part in (accept or "*/*").split(",")}
    if not kinds & {"application/json", "application/*", "*/*"}:
        raise refuse(406, f"cannot answer with {accept}: accept application/json")
    return json.dumps([float(value) for value in probabilities]), "application/json"


def shrink(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return `picture` at `size` (width, height); the pixels themselves where it already has it."""
    if picture.size == size:
        return picture
    return picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def refuse(status: int, message: str) -> Any:
    """Return the error that the toolkit answers with HTTP `status` and `message`."""
    return GenericInferenceToolkitError(status, message, message)
