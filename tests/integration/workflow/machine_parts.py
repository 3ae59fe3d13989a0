"""Puts the two state machines on a local AWS with real serialize and filter functions.

Only the endpoint is played: the classify function answers what the picture's key says, as
`scores=0.99,0.01/picture.png` or `raise=EndpointUnavailable/picture.png`.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import PIL
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "machine-pictures"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
CLASSES = ["bicycle", "motorcycle"]
ROUTES = {
    "bicycle": {"order_radius": "nearby", "loading_bay": "bay-1"},
    "motorcycle": {"order_radius": "far", "loading_bay": "bay-2"},
}

PLAYED_ENDPOINT = """
import json
import re


def lambda_handler(event, context):
    key = event["body"]["s3_key"]
    failure = re.search(r"raise=(\\w+)", key)
    if failure:
        raise type(failure[1], (Exception,), {})("bring it back with `make deploy`")
    scores = [float(score) for score in re.search(r"scores=([\\d.,]+)", key)[1].split(",")]
    return {"statusCode": 200, "body": json.dumps({"inferences": scores})}
"""


def render(name: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Return asl/<name> with its placeholders filled, as Terraform's templatefile does."""
    template = (ROOT / "asl" / name).read_text()
    machine: dict[str, Any] = json.loads(re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], template))
    return machine


def members(states: Mapping[str, Any]) -> str:
    """Return the states as JSON members without the braces around them, as asl/README.md has it."""
    return ",".join(f"{json.dumps(name)}:{json.dumps(state)}" for name, state in states.items())


@dataclass(frozen=True)
class Stage:
    """What the tests act on."""

    url: str
    classify_arn: str
    unrecorded_arn: str  # as classify, but its bucket for records does not exist
    silent_arn: str  # as classify, but its alert topic does not exist
    batch_arn: str
    review_url: str
    dead_letter_url: str
    alerts_url: str
    decisions_url: str

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.url, region_name=REGION)

    def messages(self, url: str, seconds: int = 0) -> list[Any]:
        """Return the messages in a queue as JSON and delete them; wait up to `seconds` for the first."""
        sqs = self.client("sqs")
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=seconds)
        found = answer.get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]


def build(url: str) -> Stage:
    """Create bucket, functions, queues, topic, rule and both machines at the local AWS `url`."""
    clients = {name: boto3.client(name, endpoint_url=url, region_name=REGION) for name in
               ("s3", "iam", "lambda", "sqs", "sns", "events", "stepfunctions")}  # fmt: skip
    clients["s3"].create_bucket(Bucket=BUCKET)
    role = _role(clients["iam"])
    arns = {name: _function(clients["lambda"], role, name, code, environment) for name, code, environment in (
        ("serialize", _zip("serialize_image", pillow=True), {}),
        ("classify", _played_zip(), {}),
        ("filter", _zip("filter_classes"), {"THRESHOLD": "0.93"}),
    )}  # fmt: skip
    queues = {name: _queue(clients["sqs"], name) for name in ("review", "dead-letter", "alerts", "decisions")}
    topic = clients["sns"].create_topic(Name="alerts")["TopicArn"]
    clients["sns"].subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:alerts",
        Attributes={"RawMessageDelivery": "true"},
    )  # fmt: skip
    pattern = {"source": ["scones.unlimited"], "detail-type": ["VehicleClassified"]}
    clients["events"].put_rule(Name="decisions", EventPattern=json.dumps(pattern))
    target = {"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:decisions"}
    clients["events"].put_targets(Rule="decisions", Targets=[target])
    values = {
        "partition": "aws",
        "serialize_image_arn": arns["serialize"],
        "classify_image_arn": arns["classify"],
        "filter_classes_arn": arns["filter"],
        "bucket_name": BUCKET,
        "threshold": "0.93",
        "model_name": "model-1",
        "classes_json": json.dumps(CLASSES),
        "routes_json": json.dumps(ROUTES),
        "review_queue_url": queues["review"],
        "dead_letter_queue_url": queues["dead-letter"],
        "alert_topic_arn": topic,
        "event_bus_name": "default",
        "batch_child_type": "STANDARD",
        "batch_max_concurrency": "8",
    }
    classify = render("classify.asl.json", values)
    children = {"classify_start_at": classify["StartAt"], "classify_states": members(classify["States"])}
    batch = render("classify_batch.asl.json", values | children)
    definitions = {
        "classify": classify,
        "unrecorded": render("classify.asl.json", values | {"bucket_name": "no-such-bucket"}),
        "silent": render("classify.asl.json", values | {"alert_topic_arn": f"{topic}-gone"}),
        "classify-batch": batch,
    }
    machines = {
        name: clients["stepfunctions"].create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=role
        )["stateMachineArn"]
        for name, definition in definitions.items()
    }
    return Stage(
        url, *machines.values(),
        queues["review"], queues["dead-letter"], queues["alerts"], queues["decisions"],
    )  # fmt: skip


def _queue(sqs: Any, name: str) -> str:
    senders = {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}
    statement = {"Effect": "Allow", "Principal": senders, "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return str(sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"])


def _role(iam: Any) -> str:
    services = ["lambda.amazonaws.com", "states.amazonaws.com"]
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}],
    }
    arn = iam.create_role(RoleName="all", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    actions = ["lambda:InvokeFunction", "s3:*", "sqs:SendMessage", "sns:Publish", "events:PutEvents",
               "states:*", "logs:*"]  # fmt: skip
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
    }
    iam.put_role_policy(RoleName="all", PolicyName="all", PolicyDocument=json.dumps(policy))
    return str(arn)


def _function(client: Any, role: str, name: str, code: bytes, environment: dict[str, str]) -> str:
    answer = client.create_function(
        FunctionName=name, Runtime=RUNTIME, Role=role, Handler="handler.lambda_handler",
        Code={"ZipFile": code}, Timeout=30, MemorySize=512, Environment={"Variables": environment},
    )  # fmt: skip
    return str(answer["FunctionArn"])


def _zip(name: str, *, pillow: bool = False) -> bytes:
    """Return the zip that lambdas/README.md lays out, with this environment's Pillow."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in (ROOT / "lambdas" / name).glob("*.py"):
            archive.write(path, path.name)
        for path in (ROOT / "lambdas/shared").glob("*.py"):
            archive.write(path, f"shared/{path.name}")
        packages = Path(PIL.__file__).parents[1]
        for folder in ("PIL", "pillow.libs") if pillow else ():
            for path in (packages / folder).rglob("*"):
                if path.is_file() and "__pycache__" not in path.parts:
                    archive.write(path, path.relative_to(packages))
    return buffer.getvalue()


def _played_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", PLAYED_ENDPOINT)
    return buffer.getvalue()


def picture_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, "PNG")
    return buffer.getvalue()
