"""What the endpoint answers, alone and through the inference toolkit that AWS's container serves with."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sagemaker_inference.errors import BaseInferenceToolkitError
from sagemaker_inference.transformer import Transformer

from scones_ops.container import inference

LEFT_RED = Image.fromarray(np.uint8([[[250, 0, 0]] * 16 + [[0, 0, 0]] * 16] * 32))


def write_model(folder: Path) -> None:
    """A model whose answer is the share of red in the left and in the right half of the picture."""
    halves = np.zeros((32, 32, 3, 2), dtype=np.float32)
    halves[:, :16, 0, 0] = halves[:, 16:, 0, 1] = 1 / (512 * 255)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["f"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "halves",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 32, 32, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(halves.reshape(-1, 2), "w")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(proto, folder / "model.onnx")
    (folder / "model.json").write_text(json.dumps({"classes": ["left", "right"], "input_size": [32, 32]}))


@pytest.fixture
def model(tmp_path: Path) -> inference.Model:
    write_model(tmp_path)
    return inference.model_fn(str(tmp_path))


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def answer(model: inference.Model, body: bytes, content_type: str = "image/png") -> list[float]:
    picture = inference.input_fn(body, content_type)
    text, kind = inference.output_fn(inference.predict_fn(picture, model), "application/json")
    assert kind == "application/json"
    return [float(value) for value in json.loads(text)]


def refusal(body: bytes, content_type: str | None = "image/png") -> tuple[int, str]:
    with pytest.raises(BaseInferenceToolkitError) as caught:
        inference.input_fn(body, content_type)
    assert "\n" not in caught.value.message
    return caught.value.status_code, caught.value.message


@pytest.mark.parametrize("content_type", ["image/png", "application/x-image", "IMAGE/PNG; charset=x"])
def test_a_png_is_answered_with_a_list_in_class_order(model: inference.Model, content_type: str) -> None:
    left, right = answer(model, encoded(LEFT_RED), content_type)
    assert left == pytest.approx(250 / 255, abs=1e-4) and right == pytest.approx(0, abs=1e-6)


def test_a_jpeg_is_answered(model: inference.Model) -> None:
    left, right = answer(model, encoded(LEFT_RED, "JPEG", quality=95), "image/jpeg")
    assert left > 0.9 and right < 0.05


def test_a_photo_taken_sideways_is_turned_upright(model: inference.Model) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: shown upright after a quarter turn clockwise
    stored = LEFT_RED.rotate(90, expand=True)
    left, right = answer(model, encoded(stored, "JPEG", quality=95, exif=exif), "image/jpeg")
    assert left > 0.9 and right < 0.05


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
def test_every_colour_mode_becomes_rgb(model: inference.Model, mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert len(answer(model, encoded(LEFT_RED.convert(mode), kind), f"image/{kind.lower()}")) == 2


def test_a_large_photo_is_answered_for_the_whole_of_it(model: inference.Model) -> None:
    left, right = answer(model, encoded(LEFT_RED.resize((1200, 900))))
    assert left > 0.9 and right < 0.05


def test_the_body_may_be_a_bytearray_as_torchserve_gives_it(model: inference.Model) -> None:
    assert inference.input_fn(bytearray(encoded(LEFT_RED)), "image/png").size == (32, 32)


@pytest.mark.parametrize("content_type", ["text/csv", "application/json", "image/gif", "", None])
def test_another_content_type_is_415(content_type: str | None) -> None:
    status, message = refusal(encoded(LEFT_RED), content_type)
    assert status == 415 and "image/png" in message


@pytest.mark.parametrize("body", [b"", b"not a picture", encoded(LEFT_RED)[:-40], encoded(LEFT_RED)[:20]])
def test_bytes_that_are_no_picture_are_400(body: bytes) -> None:
    assert refusal(body)[0] == 400


def test_another_format_under_a_png_label_is_400() -> None:
    assert refusal(encoded(LEFT_RED, "BMP"))[0] == 400


def test_a_decompression_bomb_is_400_before_it_is_unpacked() -> None:
    status, message = refusal(encoded(Image.new("1", (20_000, 20_000))))
    assert status == 400 and "bomb" in message
    status, message = refusal(encoded(Image.new("1", (8_000, 8_000))))
    assert status == 400 and "8000x8000" in message


def test_damaged_pictures_are_400_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    for kind in ("PNG", "JPEG"):
        whole = np.frombuffer(encoded(LEFT_RED, kind), dtype=np.uint8)
        for _ in range(300):
            body = whole.copy()
            body[rng.integers(0, len(body), 8)] = rng.integers(0, 256, 8)
            try:
                inference.input_fn(body.tobytes(), "image/png")
            except BaseInferenceToolkitError as error:
                assert error.status_code == 400


def test_a_client_that_takes_no_json_is_406() -> None:
    with pytest.raises(BaseInferenceToolkitError) as caught:
        inference.output_fn(np.zeros(2, dtype=np.float32), "text/csv")
    assert caught.value.status_code == 406
    assert inference.output_fn(np.zeros(2, dtype=np.float32), "text/csv, */*;q=0.1")[1] == "application/json"


class Request:
    """The context that the model server hands to the toolkit, and what the toolkit sets on it."""

    def __init__(self, folder: Path, content_type: str) -> None:
        self.system_properties = {"model_dir": str(folder)}
        headers = {"Content-Type": content_type}
        self.request_processor = [SimpleNamespace(get_request_properties=lambda: headers)]
        self.status, self.phrase = 200, ""

    def set_response_status(self, code: int, phrase: str) -> None:
        self.status, self.phrase = code, phrase

    def set_response_content_type(self, index: int, kind: str) -> None:
        self.kind = kind


def test_the_toolkit_finds_the_functions_and_answers_with_their_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path)
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "inference.py")
    monkeypatch.setitem(sys.modules, "inference", inference)
    monkeypatch.syspath_prepend(str(Path(inference.__file__).parent))
    toolkit = Transformer()
    good = Request(tmp_path, "image/png")
    (body,) = toolkit.transform([{"body": encoded(LEFT_RED)}], good)
    assert (good.status, good.kind, len(json.loads(body))) == (200, "application/json", 2)
    for content_type, status in (("image/png", 400), ("text/plain", 415)):
        bad = Request(tmp_path, content_type)
        (body,) = toolkit.transform([{"body": b"?"}], bad)
        assert bad.status == status and body.splitlines()[0] == bad.phrase
