"""Lambda zips that depend on their sources alone: same source, same bytes, under any umask or clock.

A zip holds `lambdas/<name>/`, `lambdas/shared/` and the packages that `lambdas/<name>/requirements.txt`
names, without their own requirements: name these too. For the local AWS the packages are this environment's
own, since its Python runs the function; for AWS they are the wheels built for Lambda's Linux and Python.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scones_ops.errors import PackagingFailed
from scones_ops.files import write_whole
from scones_ops.settings import SHARED_FILE, Settings

SHARED = "shared"

# The oldest moment a zip can tell.
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644

# Written by the installer, not by the package: they differ from machine to machine.
_INSTALLERS_OWN = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}

# Lambda runs python3.11 on Amazon Linux 2 (glibc 2.26), later ones on Amazon Linux 2023 (glibc 2.34):
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
_GLIBC_MINORS = {False: (34, 28, 17), True: (26, 17)}


@dataclass(frozen=True)
class Package:
    """One built zip; `changed` tells whether this build gave other bytes than the last."""

    name: str
    path: Path
    size: int
    changed: bool


def function_names(lambdas: Path) -> list[str]:
    """Return the names of the functions: the folders with a handler.py."""
    return sorted(path.parent.name for path in lambdas.glob("*/handler.py"))


def package_dir(settings: Settings) -> Path:
    """Return the folder of the target's zips.

    They differ by target, and a plain `terraform apply` to AWS must not take the local ones.
    """
    return settings.build_dir / "lambda" if settings.target == "local" else settings.lambda_package_dir


def package_functions(settings: Settings) -> list[Package]:
    """Return the zips of all functions in `package_dir`, built where a source changed.

    Raises PackagingFailed where a required package cannot be had.
    """
    lambdas = settings.root / "lambdas"
    names = function_names(lambdas)
    if not names:
        raise PackagingFailed(f"{lambdas} holds no function: run from a clone of the project")
    return [_package(settings, lambdas, name) for name in names]


def zip_bytes(files: Mapping[str, bytes], comment: str = "") -> bytes:
    """Return a zip of `files` (path in the zip → content), the same bytes for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, date_time=_TIME)
            entry.create_system = 3
            entry.external_attr = _MODE << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[path], compresslevel=6)
        archive.comment = comment.encode()
    return buffer.getvalue()


def source_files(lambdas: Path, name: str) -> dict[str, bytes]:
    """Return what a function's zip holds of our own: its folder at the root, and shared/."""
    own = {path: content for path, content in _tree(lambdas / name) if path != "requirements.txt"}
    shared = {f"{SHARED}/{path}": content for path, content in _tree(lambdas / SHARED)}
    return own | shared


def required_names(requirements: Path) -> list[str]:
    """Return the packages a requirements.txt names; their versions come from constraints.txt."""
    if not requirements.is_file():
        return []
    lines = (line.split("#")[0].strip() for line in requirements.read_text().splitlines())
    return [line for line in lines if line]


def _package(settings: Settings, lambdas: Path, name: str) -> Package:
    files = source_files(lambdas, name)
    for requirement in required_names(lambdas / name / "requirements.txt"):
        if settings.target == "local":
            files |= _installed_files(requirement)
        else:
            files |= _wheel_files(settings, requirement)
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{len(files[path])}\0".encode())
        digest.update(files[path])
    # The sources' digest travels in the zip's comment, so that an unchanged function is not compressed again.
    comment = f"sources sha256 {digest.hexdigest()}"
    target = package_dir(settings) / f"{name}.zip"
    changed = _comment(target) != comment
    if changed:
        write_whole(target, zip_bytes(files, comment))
    return Package(name, target, target.stat().st_size, changed)


def _comment(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment.decode(errors="replace")
    except (OSError, zipfile.BadZipFile):
        return None


def _tree(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and _belongs(path.relative_to(folder)):
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _belongs(path: Path) -> bool:
    if any(part == "__pycache__" or part.startswith(".") or part == ".." for part in path.parts):
        return False
    if path.suffix == ".pyc":
        return False
    return not (path.parent.suffix == ".dist-info" and path.name in _INSTALLERS_OWN)


def _name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    if not found:
        raise PackagingFailed(f"requirements.txt: {requirement!r} names no package: write one name a line")
    return found.group()


def _installed_files(requirement: str) -> dict[str, bytes]:
    """Return the package's files as they are installed beside this program."""
    name = _name_of(requirement)
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise PackagingFailed(f"{name} is not installed: run `make setup`") from None
    return {
        path.as_posix(): Path(str(path.locate())).read_bytes()
        for path in distribution.files or []
        if _belongs(Path(path.as_posix()))
    }


def lambda_runtime(root: Path) -> str:
    """Return Lambda's Python that the zips are built for, as python3.12: Terraform reads the same file."""
    return str(json.loads((root / SHARED_FILE).read_text())["lambda_runtime"])


def host_runtime() -> str:
    """Return the running Python as Lambda names it: the local AWS's runtime."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _wheel_files(settings: Settings, requirement: str) -> dict[str, bytes]:
    """Return the package's files from its wheel for Lambda's Linux and Python, downloaded once."""
    constraints = settings.root / "constraints.txt"
    runtime = lambda_runtime(settings.root)
    pins = constraints.read_bytes() if constraints.is_file() else b""
    key = hashlib.sha256(f"{requirement}\0{runtime}\0".encode() + pins).hexdigest()[:16]
    folder = settings.downloads_dir / "wheels" / f"{_name_of(requirement).lower()}-{key}"
    if not folder.is_dir():
        _download_wheel(requirement, runtime, constraints, folder)
    files: dict[str, bytes] = {}
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            names = (entry.filename for entry in archive.infolist() if not entry.is_dir())
            files |= {path: archive.read(path) for path in names if _belongs(Path(path))}
    return files


def _download_wheel(requirement: str, runtime: str, constraints: Path, folder: Path) -> None:
    version = runtime.removeprefix("python")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary", ":all:", "--implementation", "cp", "--python-version", version,
    ]  # fmt: skip
    for minor in _GLIBC_MINORS[version == "3.11"]:
        command += ["--platform", f"manylinux_2_{minor}_x86_64"]
    command += ["--platform", "manylinux2014_x86_64"]
    if constraints.is_file():
        command += ["--constraint", str(constraints)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as temporary:
        beside = Path(temporary) / "wheels"
        done = subprocess.run([*command, "--dest", str(beside), requirement], capture_output=True, text=True)
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            reason = said[-1].removeprefix("ERROR: ") if said else "pip failed"
            raise PackagingFailed(
                f"no wheel of {requirement} for Lambda's {runtime} could be had ({reason}): "
                "check the network and constraints.txt"
            )
        shutil.move(beside, folder)
