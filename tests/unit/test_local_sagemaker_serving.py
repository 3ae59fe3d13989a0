"""The serving container's request handling and the endpoint's own metrics, without processes."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scones_ops.local import sagemaker_endpoint_metrics, serving_process
from scones_ops.local.sagemaker_endpoint_live import described_capture, described_variant
from scones_ops.local.sagemaker_endpoint_metrics import Invocation, InvocationMetrics, metric_data

MODEL = {"PrimaryContainer": {"Image": "image"}}


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> serving_process.Worker:
    (tmp_path / "handler_of_a_test.py").write_text(
        "from sagemaker_inference.errors import GenericInferenceToolkitError\n"
        "def model_fn(model_dir): return 'model'\n"
        "def input_fn(body, content_type):\n"
        "    if not body: raise GenericInferenceToolkitError(400, 'empty')\n"
        "    return body, content_type\n"
        "def predict_fn(data, model): return [len(data[0]), data[1], model]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "handler_of_a_test.py")
    return serving_process.Worker(str(tmp_path))


def test_the_users_functions_run_and_the_left_out_one_is_the_containers(
    worker: serving_process.Worker,
) -> None:
    status, headers, body = worker.handle({"Content-Type": "image/png", "Accept": "*/*"}, b"\x89\xff")
    assert (status, headers["Content-Type"], body) == (200, "application/json", b'[2, "image/png", "model"]')


def test_an_error_has_the_handlers_status_and_the_next_request_starts_afresh(
    worker: serving_process.Worker,
) -> None:
    status, _, body = worker.handle({"Content-Type": "image/png"}, b"")
    assert status == 400 and body.startswith(b"empty\n")
    assert worker.handle({"Content-Type": "image/png"}, b"x")[0] == 200


def test_an_accept_type_that_nothing_writes_is_an_error(worker: serving_process.Worker) -> None:
    status, _, body = worker.handle({"Content-Type": "image/png", "Accept": "audio/ogg"}, b"x")
    assert status == 500 and b"audio/ogg" in body


def test_the_number_of_workers_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_MODEL_SERVER_WORKERS", "7")
    assert serving_process.worker_count() == 7
    monkeypatch.delenv("SAGEMAKER_MODEL_SERVER_WORKERS")
    assert 1 <= serving_process.worker_count() <= 4


def test_a_variant_is_described_with_its_counts_and_weight() -> None:
    told = described_variant({"VariantName": "v", "InitialInstanceCount": 2}, MODEL, None)
    assert (told["CurrentInstanceCount"], told["DesiredInstanceCount"]) == (2, 2)
    assert told["CurrentWeight"] == told["DesiredWeight"] == 1.0
    assert told["DeployedImages"][0]["SpecifiedImage"] == "image"


def test_a_serverless_variant_is_described_with_its_configuration() -> None:
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    told = described_variant({"VariantName": "v", "ServerlessConfig": serverless}, MODEL, None)
    assert told["CurrentServerlessConfig"] == serverless and "CurrentInstanceCount" not in told


def test_retained_properties_win_over_the_new_configuration() -> None:
    kept = {"CurrentWeight": 0.5, "CurrentInstanceCount": 3}
    told = described_variant({"VariantName": "v", "InitialInstanceCount": 1}, MODEL, kept)
    assert told["CurrentInstanceCount"] == 3 and told["CurrentWeight"] == 0.5


def test_capture_is_described_in_short() -> None:
    config = {"EnableCapture": True, "InitialSamplingPercentage": 20, "DestinationS3Uri": "s3://b/c"}
    assert described_capture(config) == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 20,
        "DestinationS3Uri": "s3://b/c",
    }
    assert described_capture(None) is None


def test_the_endpoints_metrics_are_sagemakers_with_latency_in_microseconds() -> None:
    taken = [
        Invocation("ep", "v", 200, timedelta(milliseconds=2)),
        Invocation("ep", "v", 400, timedelta(milliseconds=4)),
        Invocation("ep", "v", 503, timedelta(milliseconds=6)),
    ]
    told = {entry["MetricName"]: entry for entry in metric_data(taken, datetime(2026, 1, 1, tzinfo=UTC))}
    assert told["ModelLatency"]["StatisticValues"] == {
        "SampleCount": 3, "Sum": 12000.0, "Minimum": 2000.0, "Maximum": 6000.0
    }  # fmt: skip
    assert told["Invocations"]["StatisticValues"]["Sum"] == 3
    assert told["Invocation4XXErrors"]["StatisticValues"]["Sum"] == 1
    assert told["Invocation5XXErrors"]["StatisticValues"]["Sum"] == 1
    assert told["Invocations"]["Dimensions"] == [
        {"Name": "EndpointName", "Value": "ep"},
        {"Name": "VariantName", "Value": "v"},
    ]


def test_metrics_that_cannot_be_published_are_lost_and_the_next_ones_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused, taken = threading.Event(), threading.Event()

    def data(invocations: list[Invocation], _at: datetime) -> list[dict[str, object]]:
        if invocations[0].endpoint == "refused":
            refused.set()
            raise ValueError("no such metric")
        assert [item.endpoint for item in invocations] == ["taken"]
        taken.set()
        return []

    monkeypatch.setattr(sagemaker_endpoint_metrics, "metric_data", data)
    monkeypatch.setattr(sagemaker_endpoint_metrics, "FLUSH_SECONDS", 0.01)
    metrics = InvocationMetrics()
    metrics.add(Invocation("refused", "v", 200, timedelta()))
    assert refused.wait(5)
    metrics.add(Invocation("taken", "v", 200, timedelta()))
    assert taken.wait(5)
