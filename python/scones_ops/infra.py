"""The infrastructure of one target: applied, planned, destroyed and read through Terraform.

Local and AWS go through the same calls. What differs is said to Terraform in one file of variables,
`build/<workspace>/terraform.tfvars.json`, which also serves whoever runs Terraform by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import botocore.exceptions

from scones_ops import packaging
from scones_ops.aws import client
from scones_ops.console import say
from scones_ops.errors import InfrastructureFailed, NothingDeployed, ToolMissing
from scones_ops.files import write_json
from scones_ops.handoff import Handoff, read_handoff
from scones_ops.settings import Settings
from scones_ops.terraform import (
    FLAG,
    Runner,
    explain,
    find_provider_mirror,
    first_error,
    named_provider_mirror,
    say_plan,
    say_progress,
    terraform_version,
)

__all__ = ["Infrastructure", "Outputs", "find_provider_mirror", "terraform_version"]

NO_CHANGES, CHANGES = 0, 2

# Terraform waits for the services, not for the processor: more at once than its own 10 costs nothing.
_PARALLELISM = 30
_LOCK_TIMEOUT = "10s"


@dataclass(frozen=True)
class Outputs:
    """What Terraform made: no `endpoint_config_name` while the endpoint is off, no `model_name` at first."""

    bucket_name: str
    training_role_arn: str
    state_machine_arn: str
    batch_state_machine_arn: str
    endpoint_name: str
    endpoint_config_name: str | None
    model_name: str | None
    review_queue_url: str
    dead_letter_queue_url: str
    alert_topic_arn: str
    function_names: Mapping[str, str]


class Infrastructure:
    """Terraform on the folder `terraform/`, in the workspace and with the variables of the settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log_file = settings.build_dir / "terraform.log"
        self._data_dir = settings.build_dir / ".terraform"
        settings.apply_environment()
        # A shell may hold `scones-ops env` of another target: none of that is for this Terraform.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TF_WORKSPACE", "TF_CLI_ARGS"))
        }
        environment = inherited | settings.environment() | {"TF_DATA_DIR": str(self._data_dir)}
        self._terraform = Runner(settings.terraform_dir, environment, self.log_file)

    def apply(self) -> Outputs:
        """Return the outputs, after building the Lambda zips and making all that settings and handoff say.

        Raises InfrastructureFailed, ToolMissing, PackagingFailed, HandoffInvalid.
        """
        self._prepare()
        self._change("apply", **self._variables(), **{"auto-approve": FLAG})
        return self.outputs()

    def plan(self) -> int:
        """Print what an apply would change; return 0 for nothing, 2 for something."""
        self._prepare()
        status, output, _ = self._terraform.cmd(
            "plan", **self._variables(), no_color=FLAG, detailed_exitcode=FLAG, lock=False, follow=say_plan
        )
        if status not in (NO_CHANGES, CHANGES):
            raise explain(output, self.settings.terraform_dir, self.log_file)
        return status

    def destroy(self, *, delete_data: bool = False) -> None:
        """Remove everything. On AWS a bucket with objects in it stops that, unless `delete_data`.

        Raises InfrastructureFailed where something stays.
        """
        self._prepare()
        variables = self._variables()
        if delete_data:
            # Terraform empties the bucket only if its state says so before the bucket is to go.
            self._change(
                "apply", **variables, target="module.bucket.aws_s3_bucket.this", var="force_destroy=true",
                **{"auto-approve": FLAG},
            )  # fmt: skip
        self._change("destroy", **variables, **{"auto-approve": FLAG})
        if self.holds_state():
            raise InfrastructureFailed(
                f"Terraform's state is not empty after destroying: see {self.log_file}"
            )

    def holds_state(self) -> bool:
        """Return whether Terraform's state holds anything."""
        self._init()
        status, output, errors = self._terraform.cmd("state list")
        if status != 0 and "No state file was found" not in errors:
            raise explain(errors, self.settings.terraform_dir, self.log_file)
        return status == 0 and bool(output.strip())

    def is_applied(self) -> bool:
        """Return whether all is made and still there: a local AWS that was started anew is empty."""
        try:
            bucket = self.outputs().bucket_name
        except NothingDeployed:
            return False
        return _found(lambda: client(self.settings, "s3").head_bucket(Bucket=bucket))

    def outputs(self) -> Outputs:
        """Return what the last apply made. Raises NothingDeployed, or InfrastructureFailed for a fault."""
        self._init()
        status, output, errors = self._terraform.cmd("output", json=FLAG)
        if status != 0:
            raise explain(errors, self.settings.terraform_dir, self.log_file)
        values: dict[str, Any] = {name: entry["value"] for name, entry in json.loads(output).items()}
        # Terraform leaves out an output that is null, and a state of another version may have more of them.
        values = {"endpoint_config_name": None, "model_name": None} | values
        names = [item.name for item in fields(Outputs)]
        if not values.keys() >= set(names):
            raise NothingDeployed(
                f"nothing is deployed in workspace {self.settings.workspace}: run `make train deploy`"
            )
        return Outputs(**{name: values[name] for name in names})

    def verify_endpoint(self) -> Outputs:
        """Return the outputs after comparing them with what SageMaker says really serves.

        A rolled-back update looks like a success to Terraform (hashicorp/terraform-provider-aws issue 48997).
        Raises InfrastructureFailed where the endpoint is off, not in service or runs another configuration.
        """
        outputs = self.outputs()
        name, wanted = outputs.endpoint_name, outputs.endpoint_config_name
        if wanted is None:
            raise InfrastructureFailed(f"endpoint {name} is off: bring it back with `make deploy`")
        try:
            found = client(self.settings, "sagemaker").describe_endpoint(EndpointName=name)
        except botocore.exceptions.ClientError as error:
            if "Could not find endpoint" not in error.response["Error"]["Message"]:
                raise
            raise InfrastructureFailed(f"endpoint {name} is gone: bring it back with `make deploy`") from None
        status, running = found["EndpointStatus"], found.get("EndpointConfigName")
        if status == "InService" and running == wanted:
            return outputs
        log = f"/aws/sagemaker/Endpoints/{name}"
        reason = f" ({found['FailureReason']})" if found.get("FailureReason") else ""
        if status == "InService":
            raise InfrastructureFailed(
                f"endpoint {name} serves configuration {running}, not the new {wanted}: SageMaker took the "
                f"update back{reason}; read its log {log}, then `make deploy`"
            )
        raise InfrastructureFailed(
            f"endpoint {name} is {status}, not InService{reason}: read its log {log}, then `make deploy`"
        )

    def shell_environment(self) -> dict[str, str]:
        """Return the variables with which a plain `terraform plan`, `apply` or `destroy` sees what we see."""
        self._init()
        files = " ".join(f"-var-file={shlex.quote(file)}" for file in self._variables()["var_file"])
        return self.settings.environment() | {
            "TF_DATA_DIR": str(self._data_dir),
            **{f"TF_CLI_ARGS_{command}": files for command in ("plan", "apply", "destroy")},
        }

    def _prepare(self) -> None:
        self._terraform.start_log()
        packaging.package_functions(self.settings)
        self._init()

    def _change(self, command: str, **options: Any) -> None:
        say(f"terraform {command} (workspace {self.settings.workspace})")
        status, output, _ = self._terraform.cmd(
            command, **options, no_color=FLAG, input=False, parallelism=_PARALLELISM,
            lock_timeout=_LOCK_TIMEOUT, follow=say_progress,
        )  # fmt: skip
        if status != 0:
            raise explain(output, self.settings.terraform_dir, self.log_file)

    def _variables(self) -> dict[str, Any]:
        """Return the -var-file options: ours, then the handoff file."""
        handoff = read_handoff(self.settings)
        if handoff is not None and self._is_lost(handoff):
            say(f"model {handoff.model.name} is left out: its artifact {handoff.model.data_url} is gone")
            handoff = None
        path = self.settings.build_dir / "terraform.tfvars.json"
        files = [str(write_json(path, variables(self.settings, handoff)))]
        if handoff is not None:
            files.append(str(self.settings.handoff_file))
        return {"var_file": files}

    def _is_lost(self, handoff: Handoff) -> bool:
        """Return whether the model neither is in SageMaker nor can be made again from its artifact."""
        place = urlparse(handoff.model.data_url)
        sagemaker, s3 = client(self.settings, "sagemaker"), client(self.settings, "s3")
        return not (
            _found(lambda: sagemaker.describe_model(ModelName=handoff.model.name))
            or _found(lambda: s3.head_object(Bucket=place.netloc, Key=place.path.lstrip("/")))
        )

    def _init(self) -> None:
        """Run `terraform init` where it has not been run since modules, providers or backend changed."""
        self._refuse_remote_backend()
        mirror = named_provider_mirror()
        stamp = self._data_dir / "initialised"
        wanted = _init_key(self.settings.terraform_dir, mirror)
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        terraform_version()
        status, output, errors = self._initialise(mirror)
        if status != 0 and mirror is None:
            # Nothing in Terraform's own places, and no registry within reach.
            mirror = find_provider_mirror()
            if mirror is not None:
                status, output, errors = self._initialise(mirror)
        if status != 0:
            if "provider packages" in errors or "Failed to install provider" in errors:
                raise ToolMissing(
                    f"Terraform's AWS provider cannot be had ({first_error(errors)}): connect to the network "
                    f"or set TF_PLUGIN_DIR to what `terraform providers mirror` wrote (log: {self.log_file})"
                )
            raise explain(errors or output, self.settings.terraform_dir, self.log_file)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(wanted)

    def _initialise(self, mirror: Path | None) -> tuple[int, str, str]:
        options = {"plugin_dir": str(mirror)} if mirror else {}
        result: tuple[int, str, str] = self._terraform.cmd("init", input=False, no_color=FLAG, **options)
        return result

    def _refuse_remote_backend(self) -> None:
        backend = self.settings.terraform_dir / "backend.tf"
        if self.settings.target == "local" and backend.exists():
            raise InfrastructureFailed(
                f"{backend} keeps the state elsewhere, and the local AWS's stays on this machine: "
                "use a clone without that file"
            )


def variables(settings: Settings, handoff: Handoff | None) -> dict[str, Any]:
    """Return the variables that Terraform would not find by itself, as they go into its variables file."""
    values: dict[str, Any] = {}
    for name in settings.overrides:
        value = getattr(settings, name)
        values[name] = list(value) if isinstance(value, tuple) else value
    if settings.target == "local":
        values |= {"s3_use_path_style": True, "force_destroy": True, "deploy_command": "make deploy"}
        values["lambda_runtime"] = packaging.host_runtime()
    if handoff is None:
        # The handoff file of AWS lies where Terraform loads it by itself.
        values |= {"model": None, "endpoint_enabled": True}
    folder = packaging.package_dir(settings)
    if folder != settings.root / "build" / "lambda":
        values["lambda_package_dir"] = _from_terraform(folder, settings)
    if handoff is not None and handoff.model.classes != settings.classes:
        # The model that is deployed keeps its classes until one for the new ones is handed over.
        values["classes"] = list(handoff.model.classes)
    return values


def _found(ask: Callable[[], object]) -> bool:
    """Return whether what `ask` asks AWS for is there."""
    try:
        ask()
    except botocore.exceptions.ClientError as error:
        told = error.response["Error"]
        if told["Code"] in ("404", "NoSuchBucket", "NoSuchKey") or "Could not find" in told["Message"]:
            return False
        raise
    return True


def _from_terraform(folder: Path, settings: Settings) -> str:
    """Return the folder as seen from terraform/ if it is in the clone, so that the state names no machine."""
    if folder.is_relative_to(settings.root):
        return os.path.relpath(folder, settings.terraform_dir)
    return str(folder)


def _init_key(folder: Path, mirror: Path | None) -> str:
    """Return a digest of what `terraform init` depends on."""
    digest = hashlib.sha256(str(mirror).encode())
    for path in [*sorted(folder.glob("*.tf")), *sorted(folder.glob("modules/*/*.tf"))]:
        digest.update(f"{path.relative_to(folder)}\0".encode())
        if path.name in ("main.tf", "versions.tf", "backend.tf"):
            digest.update(path.read_bytes())
    return digest.hexdigest()
