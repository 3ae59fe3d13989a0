"""A deployed endpoint: which fleet serves it, and how a new one takes over."""

from __future__ import annotations

import logging
import secrets
import threading
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.sagemaker.models import FakeEndpoint

from scones_ops.local.capture import CaptureSettings, CaptureWriter
from scones_ops.local.context import CONTEXT
from scones_ops.local.role_clients import role_client
from scones_ops.local.sagemaker_endpoint_fleet import DeploymentFailed, Fleet, VariantContainer
from scones_ops.local.sagemaker_rules import SESSION_NAME

log = logging.getLogger("scones.local.sagemaker")

Part = tuple[dict[str, Any], dict[str, Any]]  # ProductionVariant, DescribeModel's answer
IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


class LiveEndpoint:
    """What runs behind one endpoint. `record` is what DescribeEndpoint tells."""

    def __init__(self, record: FakeEndpoint) -> None:
        self.record = record
        self.name: str = record.endpoint_name
        self.capture: CaptureWriter | None = None
        self._fleet: Fleet | None = None
        self._lock = threading.Lock()
        self._closed = False

    @property
    def fleet(self) -> Fleet | None:
        """The fleet that serves now."""
        return self._fleet

    def deploy(
        self, config: dict[str, Any], parts: list[Part], kept: dict[str, dict[str, Any]], alarms: list[str]
    ) -> None:
        """Bring up the configuration's fleet in the background, then swap.

        `kept` are the described variants whose weight and count stay; `alarms` those that call the swap off.
        """
        threading.Thread(
            target=self._deploy, args=(config, parts, kept, alarms), name=f"deploy {self.name}", daemon=True
        ).start()

    def _deploy(
        self, config: dict[str, Any], parts: list[Part], kept: dict[str, dict[str, Any]], alarms: list[str]
    ) -> None:
        fleet = Fleet(self.name, parts)
        try:
            fleet.start()
            firing = firing_alarms(alarms)
            if firing:
                fleet.stop()
                raise DeploymentFailed(
                    f"One or more CloudWatch alarms are in ALARM state: {', '.join(firing)}."
                )
        except DeploymentFailed as failure:
            self._fail(str(failure))
        except Exception:
            log.exception("endpoint %s: our own fault", self.name)
            self._fail(
                "Request to service failed. If failure persists after retry, contact customer support."
            )
        else:
            self._take_over(fleet, config, parts, kept)

    def _fail(self, reason: str) -> None:
        """Without an older fleet the endpoint has failed; with one, that one serves on."""
        record = self.record
        record.failure_reason = reason
        record.last_modified_time = datetime.now(UTC)
        record.endpoint_status = "Failed" if self._fleet is None else "InService"
        log.warning("endpoint %s: %s", self.name, reason)

    def _take_over(
        self, fleet: Fleet, config: dict[str, Any], parts: list[Part], kept: dict[str, dict[str, Any]]
    ) -> None:
        settings = CaptureSettings.from_config(config.get("DataCaptureConfig"))
        capture = CaptureWriter(self.name, settings, _putter(parts)) if settings else None
        with self._lock:
            if self._closed:
                fleet.stop()
                return
            old_fleet, self._fleet = self._fleet, fleet
            old_capture, self.capture = self.capture, capture
            record = self.record
            record.endpoint_config_name = config["EndpointConfigName"]
            record.production_variants = [
                described_variant(variant, model, kept.get(variant["VariantName"]))
                for variant, model in parts
            ]
            record.data_capture_config = described_capture(config.get("DataCaptureConfig"))
            record.failure_reason = None
            record.last_modified_time = datetime.now(UTC)
            record.endpoint_status = "InService"
        if old_fleet:
            old_fleet.stop()  # after what it still answers
        if old_capture:
            old_capture.close()

    def acquire(self, variant_name: str | None) -> VariantContainer | None:
        """Return the container of that variant, or of one drawn by weight; None if there is none.

        It is marked as busy; the caller tells its `end`.
        """
        with self._lock:
            if self._fleet is None:
                return None
            container = self._fleet.containers.get(variant_name or self._draw())
            if container:
                container.begin()
            return container

    def _draw(self) -> str:
        """Return a variant's name with a chance in proportion to its weight."""
        variants = self.record.production_variants
        weights = [float(variant.get("CurrentWeight", 1.0)) for variant in variants]
        point = secrets.SystemRandom().random() * sum(weights)
        for variant, weight in zip(variants, weights, strict=True):
            point -= weight
            if point < 0:
                return str(variant["VariantName"])
        return str(variants[0]["VariantName"])

    def close(self) -> None:
        """End all processes and write what is still to be captured."""
        with self._lock:
            self._closed = True
            fleet, self._fleet = self._fleet, None
            capture, self.capture = self.capture, None
        if capture:
            capture.close()
        if fleet:
            fleet.stop()

    def kill(self) -> None:
        """End all processes at once: the server ends, and with it whatever could still be written to it."""
        self._closed = True
        if self._fleet:
            self._fleet.kill()


def _putter(parts: list[Part]) -> Any:
    """Return the function that stores captured data as the endpoint's execution role."""
    role_arn = parts[0][1]["ExecutionRoleArn"]

    def put(bucket: str, key: str, body: bytes) -> None:
        role_client("s3", role_arn, SESSION_NAME).put_object(
            Bucket=bucket, Key=key, Body=body, ContentType="application/jsonlines"
        )

    return put


def described_variant(
    variant: dict[str, Any], model: dict[str, Any], kept: dict[str, Any] | None
) -> dict[str, Any]:
    """Return a ProductionVariantSummary of DescribeEndpoint."""
    image = (model.get("PrimaryContainer") or model["Containers"][0])["Image"]
    weight = kept["CurrentWeight"] if kept else variant.get("InitialVariantWeight", 1.0)
    summary: dict[str, Any] = {
        "VariantName": variant["VariantName"],
        "DeployedImages": [
            {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": datetime.now(UTC)}
        ],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
    }
    if variant.get("ServerlessConfig"):
        serverless = variant["ServerlessConfig"]
        return {**summary, "CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
    count = kept.get("CurrentInstanceCount") if kept else None
    count = count or variant.get("InitialInstanceCount", 1)
    return {**summary, "CurrentInstanceCount": count, "DesiredInstanceCount": count}


def described_capture(config: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the DataCaptureConfigSummary of DescribeEndpoint, or None where none was configured."""
    if not config:
        return None
    summary = {
        "EnableCapture": bool(config.get("EnableCapture")),
        "CaptureStatus": "Started" if config.get("EnableCapture") else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
    }
    if config.get("KmsKeyId"):
        summary["KmsKeyId"] = config["KmsKeyId"]
    return summary


def missing_alarms(names: list[str]) -> list[str]:
    """Return those that are no CloudWatch alarms."""
    alarms = cloudwatch_backends[CONTEXT.account][CONTEXT.region].alarms
    return [name for name in names if name not in alarms]


def firing_alarms(names: list[str]) -> list[str]:
    """Return those whose state is ALARM now."""
    alarms = cloudwatch_backends[CONTEXT.account][CONTEXT.region].alarms
    return [name for name in names if name in alarms and alarms[name].state_value == "ALARM"]
