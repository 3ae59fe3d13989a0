"""The trained network as one ONNX file, from pixels to calibrated probabilities.

The graph is written node by node rather than by torch's exporter: it comes out the same on every torch
version (AWS's containers hold older ones), and needs nothing but onnx. `check` compares what it answers with
what torch answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from scones_ops.container import network
from scones_ops.container.calibrate import softmax
from scones_ops.container.pictures import SIZE

OPSET = 17
IR_VERSION = 8  # what came with opset 17: readable by ONNX Runtime from 1.13 on
INPUT, OUTPUT = "pixels", "probabilities"
TOLERANCE = (
    2e-3  # largest difference of a probability; float32 in another order of operations gives about 1e-5
)


class ExportDiffers(Exception):
    """The exported graph answers otherwise than the network it came from."""


class _Graph:
    """Collects nodes and constants; each method adds to the end and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, value: NDArray[np.generic]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, dtype=np.float32))

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def layer(self, x: str, layer: nn.Module) -> str:
        """Whatever the network is made of."""
        if isinstance(layer, nn.Sequential):
            for part in layer:
                x = self.layer(x, part)
            return x
        if isinstance(layer, network.Block):
            out = self.layer(x, layer.layers)
            return self.add("Add", out, x) if layer.adds_input else out
        if isinstance(layer, network.Convolution):
            left, right, top, bottom = layer.around
            assert layer.bias is not None
            return self.add(
                "Conv", x, self.constant(_numpy(layer.weight)), self.constant(_numpy(layer.bias)),
                kernel_shape=list(layer.kernel_size), strides=list(layer.stride), group=layer.groups,
                pads=[top, left, bottom, right],
            )  # fmt: skip
        if isinstance(layer, nn.ReLU6):
            return self.add("Clip", x, self.scalar(0.0), self.scalar(6.0))
        raise TypeError(f"no rule to export {type(layer).__name__}")


def write_onnx(path: Path, model: network.Classifier, temperature: float) -> None:
    """Write `path`: `pixels` `(n, 32, 32, 3) uint8` RGB to `probabilities` `(n, classes) float32`, n free."""
    model = model.cpu().eval()
    graph = _Graph()
    x = graph.add("Transpose", graph.add("Cast", INPUT, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    times = network.UPSAMPLED / SIZE
    scales = graph.constant(np.array([1, 1, times, times], dtype=np.float32))
    x = graph.add("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
    x = graph.add("Sub", x, graph.scalar(network.PIXEL_MEAN))
    x = graph.add("Div", x, graph.scalar(network.PIXEL_SCALE))
    x = graph.layer(graph.layer(x, model.early), model.late)
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x), axis=1)
    head = model.head
    x = graph.add("Gemm", x, graph.constant(_numpy(head.weight)), graph.constant(_numpy(head.bias)), transB=1)
    x = graph.add("Div", x, graph.scalar(temperature))
    graph.nodes.append(helper.make_node("Softmax", [x], [OUTPUT], name=OUTPUT, axis=1))

    pixels = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", SIZE, SIZE, 3])
    probabilities = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", head.out_features])
    proto = helper.make_model(
        helper.make_graph(graph.nodes, "classifier", [pixels], [probabilities], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="scones-ops",
    )
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def check(path: Path, model: network.Classifier, temperature: float, pixels: NDArray[np.uint8]) -> float:
    """Return the largest difference between the file's probabilities and the network's, on `pixels`.

    Raises ExportDiffers above TOLERANCE.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {INPUT: pixels})
    logits = network.predict(model, torch.from_numpy(pixels).permute(0, 3, 1, 2))
    difference = float(np.abs(found - softmax(logits.double().numpy(), temperature)).max())
    if not difference <= TOLERANCE:
        raise ExportDiffers(f"model.onnx differs from the trained network by {difference:.2g}: not written")
    return difference


def _numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().numpy()
    return array
