"""The settings of a run: names and defaults, each from one place.

What Terraform needs too (prefix, region, classes, threshold, routes, endpoint) is read from
`terraform/scones.auto.tfvars.json`, which a plain `terraform apply` loads by itself. Everything else has its
default in `Settings`. An environment variable (`THRESHOLD=0.9 make deploy`) overrides either for one command.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from scones_ops.errors import SettingsInvalid

TARGETS = ("local", "aws")
ALGORITHMS = ("transfer", "builtin")
SHARED_FILE = Path("terraform/scones.auto.tfvars.json")

LOCAL_ACCOUNT = "123456789012"
LOCAL_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIALOCALSCONES00000",
    "AWS_SECRET_ACCESS_KEY": "the-local-aws-takes-any-secret",
}


@dataclass(frozen=True)
class Route:
    """Where a class of vehicle is sent: which orders, and the bay it is loaded at."""

    order_radius: str
    loading_bay: str


@dataclass(frozen=True)
class Settings:
    """All settings of one run, checked. Paths are absolute."""

    root: Path
    target: str
    # Shared with Terraform: defaults in SHARED_FILE.
    prefix: str
    region: str
    classes: tuple[str, ...]
    threshold: float
    routes: Mapping[str, Route]
    endpoint_name: str
    endpoint_instance_type: str
    endpoint_instance_count: int
    # The Python side's own.
    workspace: str = ""  # Terraform workspace and folder under build/; "" = the target's name
    build_root: Path = Path()  # where everything is built; default: build/ in the clone
    local_port: int = 4566
    archive: str = ""  # path or URL; "" = the official archive
    algorithm: str = "transfer"
    training_instance_type: str = "ml.g4dn.xlarge"
    training_max_seconds: int = 3600
    training_spot: bool = False
    seed: int = 0
    epochs: int = 0  # 0 = the training script's own default
    validation_fraction: float = 0.1
    gate_min_accuracy: float = 0.80  # floor for the lower 95 % bound of validation accuracy
    gate_max_calibration_error: float = 0.10
    in_flight: int = 8  # executions under way at once when pictures are sent one by one
    overrides: tuple[str, ...] = field(default=())  # shared settings that the environment overrides

    @property
    def build_dir(self) -> Path:
        """What this target writes outside Terraform's own state: `build/<workspace>`."""
        return self.build_root / self.workspace

    @property
    def dataset_dir(self) -> Path:
        """The prepared pictures, the same for every target."""
        return self.build_root / "dataset"

    @property
    def downloads_dir(self) -> Path:
        """Archives as they came, kept between runs."""
        return self.build_root / "downloads"

    @property
    def terraform_dir(self) -> Path:
        return self.root / "terraform"

    @property
    def lambda_package_dir(self) -> Path:
        """Where the Lambda zips are built and Terraform reads them."""
        return self.build_root / "lambda"

    @property
    def handoff_file(self) -> Path:
        """The file that hands the trained model to Terraform (DESIGN: model artifact → variables)."""
        if self.target == "aws":
            return self.terraform_dir / "model.auto.tfvars.json"
        return self.build_dir / "model.tfvars.json"

    @property
    def local_url(self) -> str:
        return f"http://127.0.0.1:{self.local_port}"

    def environment(self) -> dict[str, str]:
        """The environment variables that point AWS clients and Terraform at this target."""
        env = {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        if self.workspace != "aws":
            env["TF_WORKSPACE"] = self.workspace
        if self.target == "local":
            env |= {"AWS_ENDPOINT_URL": self.local_url, "AWS_EC2_METADATA_DISABLED": "true"}
            env |= LOCAL_CREDENTIALS
        return env

    def apply_environment(self) -> None:
        """Make every AWS client started from here on talk to this target and no other."""
        if self.target == "local":
            for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"):
                os.environ.pop(name, None)
        elif os.environ.get("AWS_ACCESS_KEY_ID") == LOCAL_CREDENTIALS["AWS_ACCESS_KEY_ID"]:
            # A shell that took over `scones-ops env` of the local target.
            for name in (*LOCAL_CREDENTIALS, "AWS_ENDPOINT_URL", "AWS_EC2_METADATA_DISABLED"):
                os.environ.pop(name, None)
        os.environ.update(self.environment())


def load_settings(env: Mapping[str, str] | None = None, root: Path | None = None) -> Settings:
    """Return the settings of this run; `env` defaults to the process's environment.

    Raises SettingsInvalid where a value cannot be used.
    """
    env = os.environ if env is None else env
    root = (root or Path(__file__).resolve().parents[2]).resolve()
    shared_file = root / SHARED_FILE
    try:
        values: dict[str, Any] = json.loads(shared_file.read_text())
    except FileNotFoundError:
        raise SettingsInvalid(
            f"{shared_file} is missing: run from a clone of the project, installed with `make setup`"
        ) from None
    except json.JSONDecodeError as error:
        raise SettingsInvalid(f"{shared_file} is not valid JSON ({error}): mend that line") from None

    shared = set(values)
    readers: dict[str, Callable[[str], Any]] = {
        "classes": _names, "threshold": float, "endpoint_instance_count": int, "local_port": int,
        "training_max_seconds": int, "training_spot": _flag, "seed": int,
        "epochs": int, "validation_fraction": float, "gate_min_accuracy": float,
        "gate_max_calibration_error": float, "in_flight": int,
    }  # fmt: skip
    overrides = []
    for item in fields(Settings):
        name = item.name
        if name in ("root", "routes", "overrides"):
            continue
        text = env.get(_variable(name), "").strip()
        if not text:
            continue
        try:
            values[name] = readers.get(name, str)(text)
        except ValueError as error:
            raise SettingsInvalid(f"{_variable(name)}={text!r} cannot be used: {error}") from None
        if name in shared:
            overrides.append(name)

    try:
        values["classes"] = tuple(values["classes"])
        values["routes"] = {name: Route(**route) for name, route in values["routes"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise SettingsInvalid(f"{shared_file} cannot be used: classes or routes ({error})") from None
    values.setdefault("target", "local")
    values.setdefault("workspace", values["target"])
    values["build_root"] = Path(values.get("build_root", root / "build")).resolve()
    known = {item.name for item in fields(Settings)}
    try:
        settings = Settings(
            root=root, overrides=tuple(overrides), **{k: v for k, v in values.items() if k in known}
        )
    except TypeError as error:
        missing = str(error).split(": ")[-1]
        raise SettingsInvalid(f"{shared_file} lacks {missing}: put it back") from None
    _check(settings)
    return settings


def _variable(name: str) -> str:
    """The environment variable of a setting; a few have a name of their own."""
    own = {"workspace": "SCONES_WORKSPACE", "local_port": "SCONES_LOCAL_PORT",
           "prefix": "SCONES_PREFIX", "build_root": "SCONES_BUILD"}  # fmt: skip
    return own.get(name, name.upper())


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("write true or false")


def _check(settings: Settings) -> None:
    """Raise SettingsInvalid for the first setting that would only fail later, in the middle of the work."""

    def require(good: bool, name: str, hint: str) -> None:
        if not good:
            raise SettingsInvalid(f"{_variable(name)}={getattr(settings, name)!r} cannot be used: {hint}")

    require(settings.target in TARGETS, "target", "write local or aws")
    require(settings.algorithm in ALGORITHMS, "algorithm", f"write one of {', '.join(ALGORITHMS)}")
    require(len(settings.classes) >= 2, "classes", "name at least two classes, as bicycle,motorcycle")
    require(len(set(settings.classes)) == len(settings.classes), "classes", "name each class once")
    require(0 < settings.threshold <= 1, "threshold", "write a number above 0 and at most 1, as 0.93")
    require(0 < settings.validation_fraction < 1, "validation_fraction", "write a share, as 0.1")
    require(1024 <= settings.local_port <= 65535, "local_port", "write a port from 1024 to 65535")
    require(settings.endpoint_instance_count >= 1, "endpoint_instance_count", "write 1 or more")
    require(settings.in_flight >= 1, "in_flight", "write 1 or more")
    require(settings.epochs >= 0, "epochs", "write 1 or more, or 0 for the script's own default")
    name = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
    require(bool(name.fullmatch(settings.prefix)), "prefix", "write 1 to 32 of a-z, 0-9 and hyphens")
    require(bool(name.fullmatch(settings.workspace)), "workspace", "write 1 to 32 of a-z, 0-9 and hyphens")
