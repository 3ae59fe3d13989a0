"""The files a Lambda worker sees: the function's unpacked zip, and the packages of AWS's Python runtime."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tempfile
import threading
import zipfile
from importlib import metadata
from pathlib import Path

# AWS's limit for function and layers together: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_UNZIPPED_BYTES = 262_144_000

# What AWS's Python runtimes hold besides the standard library; with what these need.
RUNTIME_PACKAGES = ("awslambdaric", "boto3")

_lock = threading.Lock()


def check_zip(code: bytes) -> str | None:
    """Return what AWS would say against this zip, or None if it takes it."""
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        return "Could not unzip uploaded file. Please check your file, then try to upload again."
    if size >= MAX_UNZIPPED_BYTES:
        return f"Unzipped size must be smaller than {MAX_UNZIPPED_BYTES} bytes"
    return None


def unpack(code: bytes, parent: Path) -> Path:
    """Return the folder under `parent` with the zip's files, unpacked once for each content."""
    folder = parent / hashlib.sha256(code).hexdigest()[:32]
    with _lock:
        if not folder.exists():
            parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(dir=parent))
            with zipfile.ZipFile(io.BytesIO(code)) as archive:
                archive.extractall(temporary)
            temporary.chmod(0o755)
            temporary.rename(folder)
    return folder


def runtime_folder(parent: Path) -> Path:
    """Return a folder that links to the packages of AWS's runtime, and to no other of this environment.

    Without it a zip that lacks, say, Pillow would work here and fail on AWS.
    """
    folder = parent / "runtime"
    with _lock:
        if folder.exists():
            return folder
        temporary = folder.with_suffix(".new")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name in _closure(RUNTIME_PACKAGES):
            distribution = metadata.distribution(name)
            for top in {file.parts[0] for file in distribution.files or () if _is_importable(file.parts[0])}:
                source = Path(str(distribution.locate_file(top))).resolve()
                if not (temporary / top).exists():
                    (temporary / top).symlink_to(source)
        temporary.rename(folder)
    return folder


def _is_importable(top: str) -> bool:
    return top not in ("..", "__pycache__", "bin") and not top.endswith(".pth")


def _closure(roots: tuple[str, ...]) -> list[str]:
    """Return the names of the packages `roots` and of all that they require without extras."""
    found: list[str] = []
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.append(name)
        for line in metadata.requires(name) or ():
            needed, _, marker = line.partition(";")
            if "extra" not in marker:
                match = re.match(r"[A-Za-z0-9._-]+", needed)
                if match and _is_installed(match.group()):
                    waiting.append(match.group().lower().replace("_", "-"))
    return found


def _is_installed(name: str) -> bool:
    """Return whether the package is here; one for another Python or system need not be."""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
