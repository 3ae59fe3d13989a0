"""How fast the deployed endpoint answers, beside bare ONNX Runtime on the same pictures in the same run."""

from __future__ import annotations

import io
import json
import math
import os
import tarfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import botocore.exceptions
import numpy as np
from PIL import Image

from scones_ops.aws import client
from scones_ops.errors import InfrastructureFailed, ModelNotFound
from scones_ops.files import write_json
from scones_ops.settings import Settings

CLIENTS = (1, 4)
WARM_UP = 20  # calls that are not counted


@dataclass(frozen=True)
class Speed:
    """The speed of one way to classify with some clients at once; times in milliseconds."""

    what: str
    clients: int
    calls: int
    p50_ms: float
    p99_ms: float
    pictures_per_second: float


def measure(what: str, call: Callable[[bytes], object], bodies: Sequence[bytes], clients: int) -> Speed:
    """Return the speed of `call` over all bodies, shared out to `clients` threads."""
    for body in bodies[:WARM_UP]:
        call(body)

    def work(share: Sequence[bytes]) -> list[float]:
        times = []
        for body in share:
            start = time.perf_counter()
            call(body)
            times.append(time.perf_counter() - start)
        return times

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        shares = [bodies[number::clients] for number in range(clients)]
        times = sorted(seconds for share in pool.map(work, shares) for seconds in share)
    wall = time.perf_counter() - start
    return Speed(
        what=what,
        clients=clients,
        calls=len(times),
        p50_ms=round(1000 * quantile(times, 0.50), 2),
        p99_ms=round(1000 * quantile(times, 0.99), 2),
        pictures_per_second=round(len(times) / wall, 1),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the ordered values do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def endpoint_call(settings: Settings) -> Callable[[bytes], object]:
    """Return the function that has the deployed endpoint classify one PNG; all threads share a client."""
    runtime = client(settings, "sagemaker-runtime", connections=max(CLIENTS))

    def call(body: bytes) -> object:
        name = settings.endpoint_name
        answer = runtime.invoke_endpoint(EndpointName=name, ContentType="image/png", Body=body)
        return json.loads(answer["Body"].read())

    return call


def check_endpoint(settings: Settings) -> str:
    """Return the name of the model that serves. Raises InfrastructureFailed if none does."""
    sagemaker = client(settings, "sagemaker")
    try:
        endpoint = sagemaker.describe_endpoint(EndpointName=settings.endpoint_name)
        config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        raise InfrastructureFailed(
            f"no endpoint {settings.endpoint_name} serves: bring it up with `make deploy`"
        ) from None
    if endpoint["EndpointStatus"] != "InService":
        raise InfrastructureFailed(
            f"endpoint {settings.endpoint_name} is {endpoint['EndpointStatus']}: wait, or run `make deploy`"
        )
    return str(config["ProductionVariants"][0]["ModelName"])


def onnx_call(settings: Settings, model_name: str) -> Callable[[bytes], object]:
    """Return the function that classifies one PNG with the serving model's own model.onnx in this process.

    Decoding included, since the endpoint decodes too. Raises ModelNotFound if there is no model.onnx.
    """
    import onnxruntime

    model = client(settings, "sagemaker").describe_model(ModelName=model_name)
    url = model["PrimaryContainer"]["ModelDataUrl"]
    bucket, key = url.removeprefix("s3://").split("/", 1)
    artifact = client(settings, "s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(artifact), mode="r:gz") as tar:
        files = {member.name.removeprefix("./"): member for member in tar if member.isfile()}
        if "model.onnx" not in files:
            raise ModelNotFound(f"{url} holds no model.onnx: only ALGORITHM=transfer can be measured")
        graph = tar.extractfile(files["model.onnx"])
        assert graph is not None  # it is a file
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # as the endpoint's handler runs it
        session = onnxruntime.InferenceSession(graph.read(), options, providers=["CPUExecutionProvider"])
    (pixels,) = session.get_inputs()
    height, width = pixels.shape[1:3]

    def call(body: bytes) -> object:
        picture = Image.open(io.BytesIO(body)).convert("RGB")
        if isinstance(width, int) and picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        return session.run(None, {pixels.name: np.asarray(picture, dtype=np.uint8)[None]})

    return call


def run_bench(settings: Settings, bodies: Sequence[bytes]) -> list[Speed]:
    """Return the speeds of endpoint and bare ONNX Runtime, at each number of clients, taken in turn."""
    model_name = check_endpoint(settings)
    ways = {"endpoint": endpoint_call(settings), "ONNX Runtime": onnx_call(settings, model_name)}
    return [measure(what, call, bodies, clients) for clients in CLIENTS for what, call in ways.items()]


def table(speeds: Sequence[Speed]) -> str:
    """Return the speeds as a table for the terminal."""
    head = f"{'':14}{'clients':>8}{'calls':>7}{'p50 ms':>9}{'p99 ms':>9}{'pictures/s':>12}"
    rows = [
        f"{s.what:14}{s.clients:8}{s.calls:7}{s.p50_ms:9.2f}{s.p99_ms:9.2f}{s.pictures_per_second:12.1f}"
        for s in speeds
    ]
    return "\n".join([head, *rows])


def write_bench(settings: Settings, speeds: Sequence[Speed], about: dict[str, Any]) -> Path:
    """Write build/<workspace>/bench.json, whole or not at all, and return its path."""
    document = {**about, "cpus": os.cpu_count(), "speeds": [asdict(speed) for speed in speeds]}
    return write_json(settings.build_dir / "bench.json", document)
