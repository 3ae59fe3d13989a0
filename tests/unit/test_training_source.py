"""sourcedir.tar.gz: complete, and the same bytes for the same source."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scones_ops.training.source import pack, source_files

ROOT = Path(__file__).resolve().parents[2]


def test_the_same_files_give_the_same_bytes_under_any_umask_and_order() -> None:
    files = {"b.py": b"2", "a.py": b"1"}
    first = pack(files)
    old = os.umask(0o077)
    try:
        second = pack(dict(reversed(files.items())))
    finally:
        os.umask(old)
    assert first == second


def test_another_content_or_name_is_another_version() -> None:
    different: list[dict[str, bytes]] = [{"a": b"bc"}, {"ab": b"c"}, {"a": b"bd"}, {"a": b"", "b": b"c"}]
    assert len({pack(files).version for files in different}) == len(different)


def test_the_entry_point_and_its_requirements_lie_at_the_root() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(source_files()).archive)) as tar:
        names = tar.getnames()
        assert {(entry.mode, entry.mtime, entry.uid) for entry in tar} == {(0o644, 0, 0)}
    assert {"train.py", "requirements.txt", "scones_ops/container/inference.py"} <= set(names)
    assert names == sorted(names)


@pytest.mark.slow
def test_the_entry_point_runs_from_the_archive_alone(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(source_files()).archive)) as tar:
        tar.extractall(tmp_path, filter="data")
    where = "import scones_ops.container.export as module; print(module.__file__)"
    for arguments, expected in (["-c", where], str(tmp_path)), (["train.py", "--help"], "--classes"):
        ran = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert expected in ran.stdout


CONTAINERS_OWN = {"packaging", "torch", "typing-extensions"}  # AWS's containers have them; pure, or theirs


def requirements() -> Iterator[tuple[str, dict[str, str]]]:
    """Each requirements file of the containers: its name, and its packages with what follows the name."""
    for file in (ROOT / "python/scones_ops/container").glob("requirements-*.txt"):
        asked = [Requirement(line) for line in file.read_text().splitlines() if not line.startswith("#")]
        yield file.name, {canonicalize_name(one.name): str(one.specifier) for one in asked}


def test_the_containers_install_the_versions_that_are_tested_here() -> None:
    tested = {
        canonicalize_name(name): f"=={version}"
        for name, mark, version in (
            line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines()
        )
        if mark
    }
    files = dict(requirements())
    assert len(files) == 2
    for file, asked in files.items():
        for name, version in asked.items():
            assert tested[name] == version, f"{file}: {name}"


def test_nothing_that_the_containers_install_floats() -> None:
    for file, asked in requirements():
        for name in asked:
            needs = [Requirement(line) for line in metadata.requires(name) or ()]
            needed = {
                canonicalize_name(one.name)
                for one in needs
                if one.marker is None or one.marker.evaluate({"python_version": "3.12", "extra": ""})
            }
            assert needed - CONTAINERS_OWN <= asked.keys(), f"{file}: {name}"
