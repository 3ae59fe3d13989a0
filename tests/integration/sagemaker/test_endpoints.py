"""Endpoints really serve: a handler of a few lines, real processes, real errors, real captured data."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import botocore.exceptions
import pytest
from sagemaker_parts import (
    BUCKET,
    ROLE,
    SERVING_IMAGE,
    LocalAws,
    alive,
    children_of,
    family_of,
    started_server,
    tar_of,
    wait_until,
)

pytestmark = pytest.mark.slow

# Answers [length of the body, the model's own number], or when a sleep began and ended; some bodies ask for
# trouble.
HANDLER = """
import json, os, time
from sagemaker_inference.errors import GenericInferenceToolkitError

def model_fn(model_dir):
    print("the model is loaded")
    return float(open(os.path.join(model_dir, "number.txt")).read())

def input_fn(body, content_type):
    if content_type != "image/png":
        raise GenericInferenceToolkitError(415, "send image/png")
    if body == b"die":
        os._exit(3)
    if body.startswith(b"sleep"):
        start = time.time()
        time.sleep(float(body[5:]))
        return [start, time.time()]
    if body == b"fault":
        raise RuntimeError("a fault of the handler")
    return body

def predict_fn(body, model):
    return body if isinstance(body, list) else [len(body), model]

def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""
PICTURE = b"\x89PNG\r\n\x1a\n\xff\xfe" * 20


def model(aws: LocalAws, number: float = 1.0, **files: str) -> str:
    """Create a SageMaker model that answers with `number` and return its name."""
    name = f"model-{uuid4().hex[:12]}"
    content = {"number.txt": str(number), "code/inference.py": HANDLER, "code/requirements.txt": "numpy\n"}
    changed = {path.replace("__", "/").replace("_txt", ".txt").replace("_py", ".py"): text
               for path, text in files.items()}  # fmt: skip
    url = aws.put(f"models/{name}.tar.gz", tar_of({**content, **changed}))
    create_model(aws, name, url)
    return name


def create_model(aws: LocalAws, name: str, url: str, **changes: Any) -> None:
    request = {
        "ModelName": name,
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {"Image": SERVING_IMAGE, "ModelDataUrl": url},
    }
    aws.client("sagemaker").create_model(**{**request, **changes})


def config(aws: LocalAws, model_name: str, *, capture: bool = False, **variant: Any) -> str:
    """Create an endpoint configuration with one variant and return its name."""
    name = f"config-{uuid4().hex[:12]}"
    machine = {} if "ServerlessConfig" in variant else {
        "InstanceType": "ml.m5.large", "InitialInstanceCount": 1
    }  # fmt: skip
    request: dict[str, Any] = {
        "EndpointConfigName": name,
        "ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": model_name, **machine, **variant}],
    }
    if capture:
        request["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{BUCKET}/data_capture",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        }
    aws.client("sagemaker").create_endpoint_config(**request)
    return name


def describe(aws: LocalAws, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = aws.client("sagemaker").describe_endpoint(EndpointName=name)
    return answer


def settled(aws: LocalAws, name: str) -> dict[str, Any]:
    """Wait until nothing is in progress and return the endpoint's description."""

    def look() -> dict[str, Any] | None:
        endpoint = describe(aws, name)
        return endpoint if endpoint["EndpointStatus"] in ("InService", "Failed") else None

    endpoint: dict[str, Any] = wait_until(look, 30, f"{name} is settled")
    return endpoint


def deploy(aws: LocalAws, config_name: str, **request: Any) -> str:
    """Create an endpoint, wait for it and return its name."""
    name = f"ep-{uuid4().hex[:12]}"
    aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config_name, **request)
    return name


def delete(aws: LocalAws, name: str) -> None:
    aws.client("sagemaker").delete_endpoint(EndpointName=name)
    wait_until(lambda: not _exists(aws, name), 15, f"{name} is gone")


def _exists(aws: LocalAws, name: str) -> bool:
    try:
        describe(aws, name)
    except botocore.exceptions.ClientError:
        return False
    return True


def invoke(aws: LocalAws, name: str, body: bytes = PICTURE, **request: Any) -> Any:
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, Body=body, **{"ContentType": "image/png", **request}
    )
    return json.loads(answer["Body"].read())


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    """Return code and message of the error."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture(scope="module")
def endpoint(aws: LocalAws) -> Iterator[str]:
    """An endpoint in service that captures its data."""
    name = deploy(aws, config(aws, model(aws), capture=True))
    assert settled(aws, name)["EndpointStatus"] == "InService"
    yield name
    delete(aws, name)


def test_a_picture_goes_in_and_the_models_answer_comes_out(aws: LocalAws, endpoint: str) -> None:
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, Body=PICTURE, ContentType="image/png", Accept="application/json"
    )
    assert json.loads(answer["Body"].read()) == [len(PICTURE), 1.0]
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_an_endpoint_is_described_as_sagemaker_does(aws: LocalAws, endpoint: str) -> None:
    told = describe(aws, endpoint)
    (variant,) = told["ProductionVariants"]
    assert variant["VariantName"] == "AllTraffic"
    assert variant["CurrentInstanceCount"] == variant["DesiredInstanceCount"] == 1
    assert variant["CurrentWeight"] == variant["DesiredWeight"] == 1.0
    assert variant["DeployedImages"][0]["SpecifiedImage"] == SERVING_IMAGE
    assert told["DataCaptureConfig"]["CaptureStatus"] == "Started"
    assert told["DataCaptureConfig"]["CurrentSamplingPercentage"] == 100
    assert "FailureReason" not in told


@pytest.mark.parametrize(
    ("body", "content_type", "status", "words"),
    [
        (PICTURE, "text/plain", 415, "send image/png"),
        (b"fault", "image/png", 500, "a fault of the handler"),
    ],
)
def test_the_containers_errors_come_as_model_errors(
    aws: LocalAws, endpoint: str, body: bytes, content_type: str, status: int, words: str
) -> None:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        invoke(aws, endpoint, body, ContentType=content_type)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["Error"]["Code"] == "ModelError"
    kind = "client" if status < 500 else "server"
    assert answer["Error"]["Message"].startswith(
        f'Received {kind} error ({status}) from primary with message "{words}'
    )
    assert answer["OriginalStatusCode"] == status
    assert answer["OriginalMessage"].splitlines()[0] == words
    assert answer["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{endpoint}")


def test_an_unknown_endpoint_is_not_found(aws: LocalAws) -> None:
    code, message = refusal(invoke, aws=aws, name="nobody")
    assert code == "ValidationError"
    assert message == "Endpoint nobody of account 123456789012 not found."


def test_a_body_over_six_megabytes_is_refused(aws: LocalAws, endpoint: str) -> None:
    code, message = refusal(invoke, aws=aws, name=endpoint, body=b"x" * 6_291_457)
    assert code == "413" and "6291456" in message
    assert invoke(aws, endpoint, b"x" * 6_291_456)[0] == 6_291_456


def test_requests_are_served_beside_each_other(aws: LocalAws, endpoint: str) -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.fail("this test needs two CPUs: one worker a CPU")
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: invoke(aws, endpoint, b"sleep2"), range(2))
    assert max(one[0], other[0]) < min(one[1], other[1])  # both were under way at once


def test_invocations_are_captured_in_sagemakers_format_and_path(aws: LocalAws, endpoint: str) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    marks = [f"captured {number}".encode() for number in range(3)]
    for mark in marks:
        invoke(aws, endpoint, mark)
    prefix = f"data_capture/{endpoint}/AllTraffic/{before:%Y/%m/%d/}"

    def captured() -> list[dict[str, Any]] | None:
        lines = [line for key in aws.keys(prefix) for line in aws.get(f"s3://{BUCKET}/{key}").splitlines()]
        records = [json.loads(line) for line in lines]
        found = [r for r in records if base64.b64decode(_input(r)["data"]) in marks]
        return found if len(found) == len(marks) else None

    records = wait_until(captured, 15, "the records are in S3")
    for record in records:
        assert list(record) == ["captureData", "eventMetadata", "eventVersion"]
        assert _input(record)["observedContentType"] == "image/png"
        output = record["captureData"]["endpointOutput"]
        assert (output["mode"], output["encoding"]) == ("OUTPUT", "JSON")
        assert json.loads(output["data"]) == [10, 1.0]
        at = datetime.strptime(record["eventMetadata"]["inferenceTime"], "%Y-%m-%dT%H:%M:%S%z")
        assert before <= at <= datetime.now(UTC)


def _input(record: dict[str, Any]) -> dict[str, Any]:
    side: dict[str, Any] = record["captureData"]["endpointInput"]
    return side


def test_the_containers_log_is_in_cloudwatch_logs(aws: LocalAws, endpoint: str) -> None:
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    wait_until(lambda: "the model is loaded" in aws.log_lines(group, "AllTraffic/"), 10, "the log is there")


def test_invocations_are_counted_in_cloudwatch(aws: LocalAws, endpoint: str) -> None:
    invoke(aws, endpoint)

    def counted() -> bool:
        points = aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[
                {"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}
            ],
            StartTime=datetime.fromtimestamp(time.time() - 3600, UTC),
            EndTime=datetime.fromtimestamp(time.time() + 60, UTC),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]  # fmt: skip
        return sum(point["Sum"] for point in points) >= 1

    wait_until(counted, 15, "the metric is there")


def test_a_container_that_crashes_is_restarted(aws: LocalAws) -> None:
    name = deploy(aws, config(aws, model(aws)))
    settled(aws, name)
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        invoke(aws, name, b"die")
    assert caught.value.response["Error"]["Code"] == "ModelError"
    assert caught.value.response["OriginalStatusCode"] >= 500

    def serves() -> bool:
        try:
            return bool(invoke(aws, name))
        except botocore.exceptions.ClientError:
            return False

    wait_until(serves, 20, "it serves again")
    assert describe(aws, name)["EndpointStatus"] == "InService"
    delete(aws, name)


def test_an_update_swaps_without_a_gap(aws: LocalAws) -> None:
    name = deploy(aws, config(aws, model(aws, 1.0)))
    settled(aws, name)
    second = config(aws, model(aws, 2.0))
    seen: list[float] = []
    errors: list[Exception] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                seen.append(invoke(aws, name)[1])
            except botocore.exceptions.ClientError as error:
                errors.append(error)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    aws.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=second)
    assert describe(aws, name)["EndpointStatus"] == "Updating"
    code, message = refusal(
        aws.client("sagemaker").update_endpoint, EndpointName=name, EndpointConfigName=second
    )
    assert (code, "in-progress" in message) == ("ValidationException", True)
    told = settled(aws, name)
    wait_until(lambda: 2.0 in seen, 10, "the new model answers")
    stop.set()
    asking.join()
    assert told["EndpointStatus"] == "InService" and told["EndpointConfigName"] == second
    assert not errors and seen[0] == 1.0 and seen[-1] == 2.0
    assert seen == sorted(seen)
    delete(aws, name)


def test_an_update_that_cannot_start_leaves_the_old_one_serving(aws: LocalAws) -> None:
    good = config(aws, model(aws, 1.0))
    name = deploy(aws, good)
    settled(aws, name)
    bad = config(aws, model(aws, number_txt="no number"))
    aws.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=bad)
    told = settled(aws, name)
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("InService", good)
    assert "did not pass the ping health check" in told["FailureReason"]
    assert invoke(aws, name)[1] == 1.0
    delete(aws, name)


def test_an_alarm_that_fires_calls_the_update_off(aws: LocalAws) -> None:
    good = config(aws, model(aws, 1.0))
    name = deploy(aws, good)
    settled(aws, name)
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="too-many-errors", MetricName="Invocation5XXErrors", Namespace="AWS/SageMaker", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold", Statistic="Sum",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="too-many-errors", StateValue="ALARM", StateReason="a test")
    deployment = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 60}
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "too-many-errors"}]},
    }
    update = aws.client("sagemaker").update_endpoint
    second = config(aws, model(aws, 2.0))
    update(EndpointName=name, EndpointConfigName=second, DeploymentConfig=deployment)
    told = settled(aws, name)
    assert told["EndpointConfigName"] == good and "too-many-errors" in told["FailureReason"]
    assert told["LastDeploymentConfig"] == deployment
    missing = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "no-such-alarm"}]}}
    code, message = refusal(update, EndpointName=name, EndpointConfigName=second, DeploymentConfig=missing)
    assert code == "ValidationException" and "no-such-alarm" in message
    delete(aws, name)


def test_delete_ends_the_process_and_the_endpoint_is_not_found(aws: LocalAws) -> None:
    name = deploy(aws, config(aws, model(aws)))
    settled(aws, name)
    started = family_of(aws.pid, name)
    assert started
    delete(aws, name)
    assert not any(alive(pid) for pid in started)
    assert refusal(invoke, aws=aws, name=name)[0] == "ValidationError"
    code, message = refusal(aws.client("sagemaker").delete_endpoint, EndpointName=name)
    assert code == "ValidationException" and message.startswith('Could not find endpoint "arn:')


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"number_txt": "no number"}, "did not pass the ping health check"),
        ({"code__inference_py": "import no_such_module_here\n"}, "no_such_module_here"),
        ({"code__requirements_txt": "no-such-package-here\n"}, "no-such-package-here"),
    ],
)
def test_a_model_that_cannot_serve_fails_the_endpoint_with_the_reason(
    aws: LocalAws, files: dict[str, str], words: str
) -> None:
    name = deploy(aws, config(aws, model(aws, **files)))
    told = settled(aws, name)
    assert told["EndpointStatus"] == "Failed" and words in told["FailureReason"]
    assert refusal(invoke, aws=aws, name=name)[0] == "ValidationError"
    again = aws.client("sagemaker").update_endpoint
    assert refusal(again, EndpointName=name, EndpointConfigName=told["EndpointConfigName"])[0] == (
        "ValidationException"
    )
    delete(aws, name)


def test_an_artifact_that_is_gone_fails_the_endpoint(aws: LocalAws) -> None:
    name = model(aws)
    config_name = config(aws, name)
    aws.client("s3").delete_object(Bucket=BUCKET, Key=f"models/{name}.tar.gz")
    told = settled(aws, endpoint_name := deploy(aws, config_name))
    assert told["EndpointStatus"] == "Failed"
    assert told["FailureReason"].startswith("Failed to download model data")
    delete(aws, endpoint_name)


def test_an_artifact_that_leads_outside_of_its_folder_is_not_unpacked(aws: LocalAws) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("../../escaped.txt")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    url = aws.put("models/hostile.tar.gz", buffer.getvalue())
    create_model(aws, "hostile", url)
    name = deploy(aws, config(aws, "hostile"))
    told = settled(aws, name)
    assert told["EndpointStatus"] == "Failed"
    assert told["FailureReason"].startswith("Failed to extract model data")
    assert not list(aws.home.rglob("escaped.txt"))
    delete(aws, name)


def test_names_can_be_used_once(aws: LocalAws, endpoint: str) -> None:
    sagemaker = aws.client("sagemaker")
    told = describe(aws, endpoint)
    code, message = refusal(
        sagemaker.create_endpoint, EndpointName=endpoint, EndpointConfigName=told["EndpointConfigName"]
    )
    assert (code, message.split('"')[0]) == (
        "ValidationException", "Cannot create already existing endpoint "
    )  # fmt: skip
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=told["EndpointConfigName"])[
        "ProductionVariants"
    ]
    code, message = refusal(
        sagemaker.create_endpoint_config,
        EndpointConfigName=told["EndpointConfigName"],
        ProductionVariants=variants,
    )
    assert message.startswith("Cannot create already existing endpoint configuration")
    found = sagemaker.describe_model(ModelName=variants[0]["ModelName"])
    code, message = refusal(
        sagemaker.create_model,
        ModelName=found["ModelName"],
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": SERVING_IMAGE, "ModelDataUrl": found["PrimaryContainer"]["ModelDataUrl"]},
    )
    assert message.startswith("Cannot create already existing model")


def test_of_simultaneous_requests_with_one_name_one_is_taken(aws: LocalAws) -> None:
    sagemaker = aws.client("sagemaker")
    model_name, endpoint_name = f"model-{uuid4().hex[:12]}", f"ep-{uuid4().hex[:12]}"
    url = aws.put("models/twice.tar.gz", tar_of({"number.txt": "1", "code/inference.py": HANDLER}))
    assert accepted(lambda: create_model(aws, model_name, url)) == 1
    variants = [
        {"VariantName": "v", "ModelName": model_name, "InstanceType": "ml.m5.large",
         "InitialInstanceCount": 1}
    ]  # fmt: skip
    name = f"config-{uuid4().hex[:12]}"
    both = {"EndpointConfigName": name, "ProductionVariants": variants}
    assert accepted(lambda: sagemaker.create_endpoint_config(**both)) == 1
    both = {"EndpointConfigName": name, "EndpointName": endpoint_name}
    assert accepted(lambda: sagemaker.create_endpoint(**both)) == 1
    settled(aws, endpoint_name)
    assert accepted(lambda: sagemaker.update_endpoint(**both)) == 1
    settled(aws, endpoint_name)
    assert len(family_of(aws.pid, endpoint_name)) == 1
    assert accepted(lambda: sagemaker.delete_endpoint(EndpointName=endpoint_name)) == 1


def accepted(call: Callable[[], Any]) -> int:
    """Return how many of eight simultaneous calls were not refused."""
    together = threading.Barrier(8)

    def attempt(_: int) -> bool:
        together.wait()
        try:
            call()
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "ValidationException"
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(attempt, range(8)))


def test_what_is_not_there_cannot_be_used_or_deleted(aws: LocalAws) -> None:
    sagemaker = aws.client("sagemaker")
    for call, request in (
        (sagemaker.describe_model, {"ModelName": "nobody"}),
        (sagemaker.delete_model, {"ModelName": "nobody"}),
        (sagemaker.describe_endpoint_config, {"EndpointConfigName": "nobody"}),
        (sagemaker.delete_endpoint_config, {"EndpointConfigName": "nobody"}),
        (sagemaker.describe_endpoint, {"EndpointName": "nobody"}),
        (sagemaker.create_endpoint, {"EndpointName": "new", "EndpointConfigName": "nobody"}),
        (sagemaker.update_endpoint, {"EndpointName": "nobody", "EndpointConfigName": "nobody"}),
    ):
        code, message = refusal(call, **request)
        assert code == "ValidationException" and message.startswith("Could not find")
    variant = {"VariantName": "v", "ModelName": "nobody", "InstanceType": "ml.m5.large",
               "InitialInstanceCount": 1}  # fmt: skip
    code, message = refusal(
        sagemaker.create_endpoint_config, EndpointConfigName="c", ProductionVariants=[variant]
    )
    assert message.startswith("Could not find model")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ExecutionRoleArn": ROLE.replace("sagemaker-tests", "not-for-sagemaker")}, "Could not assume role"),
        ({"PrimaryContainer": {"Image": "xgboost:1", "ModelDataUrl": f"s3://{BUCKET}/m"}}, "xgboost"),
        (
            {"PrimaryContainer": {"Image": SERVING_IMAGE, "ModelDataUrl": f"s3://{BUCKET}/no/model.tar.gz"}},
            "Could not find model data",
        ),
    ],
)
def test_a_model_that_could_never_serve_is_refused(
    aws: LocalAws, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match=words):
        create_model(aws, f"model-{uuid4().hex[:8]}", f"s3://{BUCKET}/x", **changes)


def test_a_deleted_configuration_leaves_the_endpoint_serving_and_bars_its_update(aws: LocalAws) -> None:
    first = config(aws, model(aws))
    name = deploy(aws, first)
    settled(aws, name)
    sagemaker = aws.client("sagemaker")
    sagemaker.delete_endpoint_config(EndpointConfigName=first)
    assert invoke(aws, name)[1] == 1.0
    code, message = refusal(
        sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=config(aws, model(aws))
    )
    assert code == "ValidationException" and first in message
    delete(aws, name)


def test_a_serverless_variant_serves_the_same(aws: LocalAws) -> None:
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    name = deploy(aws, config(aws, model(aws), ServerlessConfig=serverless))
    (variant,) = settled(aws, name)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == serverless
    assert invoke(aws, name)[1] == 1.0
    delete(aws, name)


def test_a_serverless_variant_with_data_capture_is_refused(aws: LocalAws) -> None:
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    with pytest.raises(botocore.exceptions.ClientError, match="DataCaptureConfig is not supported"):
        config(aws, model(aws), capture=True, ServerlessConfig=serverless)


def test_weights_share_the_traffic_and_can_be_changed(aws: LocalAws) -> None:
    sagemaker = aws.client("sagemaker")
    variants = [
        {"VariantName": f"v{number}", "ModelName": model(aws, number), "InstanceType": "ml.m5.large",
         "InitialInstanceCount": 1, "InitialVariantWeight": 1.0}
        for number in (1, 2)
    ]  # fmt: skip
    config_name = f"config-{uuid4().hex[:8]}"
    sagemaker.create_endpoint_config(EndpointConfigName=config_name, ProductionVariants=variants)
    name = deploy(aws, config_name)
    settled(aws, name)
    assert {invoke(aws, name)[1] for _ in range(40)} == {1.0, 2.0}
    assert invoke(aws, name, TargetVariant="v2")[1] == 2.0
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "v1", "DesiredWeight": 0.0}, {"VariantName": "v2", "DesiredInstanceCount": 3}
        ],
    )  # fmt: skip
    assert {invoke(aws, name)[1] for _ in range(20)} == {2.0}
    told = settled(aws, name)["ProductionVariants"]
    assert [variant["CurrentInstanceCount"] for variant in told] == [1, 3]
    delete(aws, name)


def test_a_server_that_is_killed_takes_the_containers_with_it(tmp_path_factory: Any) -> None:
    with started_server(tmp_path_factory.mktemp("killed")) as local:
        name = deploy(local, config(local, model(local)))
        settled(local, name)
        containers = [pid for pid in children_of(local.pid) if alive(pid)]
        assert containers
        os.kill(local.pid, signal.SIGKILL)
        wait_until(lambda: not any(alive(pid) for pid in containers), 10, "the containers are gone")


def test_a_server_that_is_told_to_end_does_so_at_once_and_leaves_no_process(tmp_path_factory: Any) -> None:
    with started_server(tmp_path_factory.mktemp("ended")) as local:
        name = deploy(local, config(local, model(local), capture=True))
        settled(local, name)
        invoke(local, name)  # captured, and not yet written
        containers = [pid for pid in children_of(local.pid) if alive(pid)]
        start = time.monotonic()
        os.kill(local.pid, signal.SIGTERM)
        wait_until(lambda: not alive(local.pid), 20, "the server has ended")
        assert time.monotonic() - start < 5
        wait_until(lambda: not any(alive(pid) for pid in containers), 5, "the containers are gone")
