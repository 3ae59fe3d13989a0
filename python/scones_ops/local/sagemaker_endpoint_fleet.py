"""The processes behind an endpoint: one for each production variant, watched and restarted.

One process stands for all instances of a variant; its count is only recorded.
"""

from __future__ import annotations

import itertools
import logging
import os
import select
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from typing import Any

import urllib3
from botocore.exceptions import ClientError

from scones_ops.local.context import CONTEXT
from scones_ops.local.processes import end_child, start_child
from scones_ops.local.role_clients import RoleLog, container_environment, role_client
from scones_ops.local.s3_uris import split_s3_uri
from scones_ops.local.sagemaker_rules import SESSION_NAME, unmet_requirements

log = logging.getLogger("scones.local.sagemaker")

DEFAULT_STARTUP_SECONDS = 600  # ContainerStartupHealthCheckTimeoutInSeconds may say less
INVOCATION_SECONDS = 60.0
DRAIN_SECONDS = 5.0
_RESTART_PAUSE_SECONDS = 0.5
_numbers = itertools.count(1)


class DeploymentFailed(Exception):
    """A variant could not be brought up; the text is the endpoint's FailureReason."""


class ContainerUnreachable(Exception):
    """The container did not answer; `timed_out` after INVOCATION_SECONDS."""

    def __init__(self, timed_out: bool) -> None:
        self.timed_out = timed_out
        super().__init__()


class VariantContainer:
    """The serving process of one variant."""

    def __init__(self, endpoint: str, variant: dict[str, Any], model: dict[str, Any]) -> None:
        """`variant` is a ProductionVariant, `model` DescribeModel's answer."""
        self.endpoint = endpoint
        self.variant = variant
        self.name: str = variant["VariantName"]
        self.role_arn: str = model["ExecutionRoleArn"]
        self.container = model.get("PrimaryContainer") or model["Containers"][0]
        self.folder = CONTEXT.folder("endpoints") / f"{endpoint}-{next(_numbers)}-{self.name}"
        self.log = RoleLog(
            self.role_arn, SESSION_NAME, f"/aws/sagemaker/Endpoints/{endpoint}",
            f"{self.name}/i-{int(time.time() * 1000):017x}",
        )  # fmt: skip
        self.stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._last_line = ""
        self._busy = 0
        self._idle = threading.Condition()

    @property
    def pid(self) -> int | None:
        """The process id of the container, for status and tests."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Download, unpack, check and bring up the model. Raises DeploymentFailed."""
        self._unpack_model()
        unmet = unmet_requirements(self.folder / "model" / "code" / "requirements.txt")
        if unmet:
            raise DeploymentFailed(
                f"The primary container for production variant {self.name} cannot install "
                f"code/requirements.txt: the local AWS serves with what its own Python has, and that lacks "
                f"{', '.join(unmet)}. Add it there with pip, or use TARGET=aws."
            )
        self._launch()
        threading.Thread(target=self._watch, name=f"serving {self.endpoint}", daemon=True).start()

    def _unpack_model(self) -> None:
        """Put the artifact's files under folder/model, and nothing outside of it."""
        url = self.container["ModelDataUrl"]
        bucket, key = split_s3_uri(url)
        archive = self.folder / "model.tar.gz"
        self.folder.mkdir(parents=True)
        try:
            role_client("s3", self.role_arn, SESSION_NAME).download_file(bucket, key, str(archive))
        except ClientError:
            raise DeploymentFailed(
                f'Failed to download model data for container "container_1" from URL: "{url}". Please ensure '
                "that there is an object located at the URL and that the role passed to CreateModel has "
                "permissions to download the object."
            ) from None
        try:
            with tarfile.open(archive, "r:gz") as tar:
                tar.extractall(self.folder / "model", filter="data")  # refuses paths that lead outside
        except (tarfile.TarError, OSError, EOFError) as error:
            raise DeploymentFailed(
                f'Failed to extract model data archive for container "container_1" from URL "{url}": '
                f"{error}. "
                "Please ensure that the object located at the URL is a valid tar.gz archive."
            ) from None
        archive.unlink()

    def _launch(self) -> None:
        """Start the process and wait until it is healthy. Raises DeploymentFailed."""
        env = container_environment(self.role_arn, SESSION_NAME, self.folder / "home")
        env["SAGEMAKER_BASE_DIR"] = str(self.folder)
        env |= self.container.get("Environment") or {}
        # Addresses inside the container; here the model lies elsewhere.
        env["SAGEMAKER_SUBMIT_DIRECTORY"] = str(self.folder / "model" / "code")
        reader, writer = os.pipe()
        program = "scones_ops.local.serving_process"
        try:
            self._process = start_child(
                [sys.executable, "-m", program, str(self.folder / "model"), str(writer)],
                env=env,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(writer,),
            )
        finally:
            os.close(writer)
        follower = threading.Thread(target=self._follow_log, args=(self._process,), daemon=True)
        follower.start()
        seconds = self.variant.get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_STARTUP_SECONDS)
        with os.fdopen(reader) as ready:
            port = ready.readline() if select.select([reader], [], [], seconds)[0] else ""
        if not port:
            end_child(self._process)
            follower.join(timeout=5)
            raise DeploymentFailed(
                f"The primary container for production variant {self.name} did not pass the ping health "
                f"check. Please check CloudWatch logs for this endpoint. Last line there: {self._last_line}"
            )
        self._pool = urllib3.HTTPConnectionPool("127.0.0.1", int(port), maxsize=64)

    def _follow_log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            self._last_line = line or self._last_line
            self.log.write(line)

    def _watch(self) -> None:
        """Restart the container whenever it ends by itself, as SageMaker does."""
        while True:
            assert self._process is not None
            status = self._process.wait()
            end_child(self._process)  # with whatever it left running
            self._pool = None
            if self.stopped.wait(_RESTART_PAUSE_SECONDS):
                return
            log.warning("endpoint %s: container ended with status %s, restarting", self.endpoint, status)
            try:
                self._launch()
            except DeploymentFailed as error:
                log.warning("endpoint %s: %s", self.endpoint, error)
            if self.stopped.is_set():  # while it started
                self._end_process()
                return

    def begin(self) -> None:
        """Count one request that will use this container, until `end`."""
        with self._idle:
            self._busy += 1

    def end(self) -> None:
        """The request is answered."""
        with self._idle:
            self._busy -= 1
            self._idle.notify_all()

    def invoke(self, headers: dict[str, str], body: bytes) -> urllib3.BaseHTTPResponse:
        """Return the container's answer to POST /invocations. Raises ContainerUnreachable."""
        pool = self._pool
        if pool is None:
            raise ContainerUnreachable(timed_out=False)
        try:
            return pool.request(
                "POST", "/invocations", body=body, headers=headers, retries=False,
                timeout=urllib3.Timeout(connect=5, read=INVOCATION_SECONDS),
            )  # fmt: skip
        except urllib3.exceptions.TimeoutError:
            raise ContainerUnreachable(timed_out=True) from None
        except urllib3.exceptions.HTTPError:
            raise ContainerUnreachable(timed_out=False) from None

    def stop(self) -> None:
        """Wait for the requests under way, then end the process and remove its files."""
        with self._idle:
            self._idle.wait_for(lambda: not self._busy, DRAIN_SECONDS)
        self.stopped.set()
        self._end_process()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """End the process at once; its log's last lines are lost."""
        self.stopped.set()
        if self._process is not None:
            end_child(self._process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_process(self) -> None:
        if self._process is not None:
            end_child(self._process, patience=2.0)


class Fleet:
    """All variants of one endpoint configuration."""

    def __init__(self, endpoint: str, parts: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
        """`parts` are (ProductionVariant, DescribeModel's answer) pairs."""
        self.endpoint = endpoint
        self._parts = parts
        self.containers: dict[str, VariantContainer] = {}

    def start(self) -> None:
        """Bring all variants up, or none. Raises DeploymentFailed."""
        try:
            for variant, model in self._parts:
                container = VariantContainer(self.endpoint, variant, model)
                self.containers[container.name] = container
                container.start()
        except Exception:
            self.stop()
            raise

    def stop(self) -> None:
        """End all variants."""
        for container in self.containers.values():
            container.stop()

    def kill(self) -> None:
        """End all variants at once."""
        for container in self.containers.values():
            container.kill()
