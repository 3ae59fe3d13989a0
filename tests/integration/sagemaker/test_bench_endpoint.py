"""The benchmark measures a real endpoint beside the ONNX graph of its own artifact."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sagemaker_parts import ROLE, SERVING_IMAGE, LocalAws, tar_of, wait_until

from scones_ops import bench
from scones_ops.errors import InfrastructureFailed
from scones_ops.settings import Settings, load_settings

pytestmark = pytest.mark.slow

HANDLER = """
import io, json, os
import numpy as np, onnxruntime
from PIL import Image

def model_fn(model_dir):
    return onnxruntime.InferenceSession(os.path.join(model_dir, "model.onnx"))

def input_fn(body, content_type):
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"), dtype=np.uint8)[None]

def predict_fn(pixels, session):
    return session.run(None, {"pixels": pixels})[0][0].tolist()

def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""


def tiny_graph() -> bytes:
    """Return an ONNX model: (1, 8, 8, 3) uint8 pixels in, softmax of two weighted sums out."""
    weights = np.linspace(-1, 1, 8 * 8 * 3 * 2, dtype=np.float32).reshape(-1, 2)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["floats"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["sums"]),
            helper.make_node("Softmax", ["sums"], ["probabilities"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 8, 8, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.ModelProto.SerializeToString(model)


def picture(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 255 - shade, 90)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def settings(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for variable, value in aws.environment().items():
        monkeypatch.setenv(variable, value)
    port = aws.url.rsplit(":", 1)[1]
    env = {"SCONES_LOCAL_PORT": port, "ENDPOINT_NAME": "benched", "SCONES_BUILD": str(tmp_path)}
    return load_settings(env)


def test_endpoint_and_bare_runtime_are_measured_on_the_same_pictures(
    aws: LocalAws, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(InfrastructureFailed, match="make deploy"):
        bench.check_endpoint(settings)
    url = aws.put("models/benched.tar.gz", tar_of({"model.onnx": tiny_graph(), "code/inference.py": HANDLER}))
    sagemaker = aws.client("sagemaker")
    sagemaker.create_model(
        ModelName="benched",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": SERVING_IMAGE, "ModelDataUrl": url},
    )
    variant = {"VariantName": "v", "ModelName": "benched", "InstanceType": "ml.m5.large",
               "InitialInstanceCount": 1}  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName="benched", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="benched", EndpointConfigName="benched")
    wait_until(
        lambda: sagemaker.describe_endpoint(EndpointName="benched")["EndpointStatus"] == "InService",
        30,
        "the endpoint serves",
    )
    bodies = [picture(shade) for shade in range(30)]
    (bare,) = bench.onnx_call(settings, "benched")(bodies[7])  # type: ignore[misc]
    assert bench.endpoint_call(settings)(bodies[7]) == pytest.approx(bare[0].tolist())

    speeds = bench.run_bench(settings, bodies)
    assert [(speed.what, speed.clients, speed.calls) for speed in speeds] == [
        ("endpoint", 1, 30),
        ("ONNX Runtime", 1, 30),
        ("endpoint", 4, 30),
        ("ONNX Runtime", 4, 30),
    ]
    path = bench.write_bench(settings, speeds, {"generated": True})
    written = json.loads(path.read_text())
    assert written["generated"] is True and len(written["speeds"]) == 4
    assert path.is_relative_to(tmp_path)
    sagemaker.delete_endpoint(EndpointName="benched")
