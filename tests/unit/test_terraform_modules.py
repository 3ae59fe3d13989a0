"""Each Terraform module on its own: formatted, valid, and passing its own tests, without an AWS account."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scones_ops.terraform import clean_environment, find_provider_mirror, terraform_version

ROOT = Path(__file__).resolve().parents[2]
TERRAFORM = ROOT / "terraform"
FOLDERS = [
    ".",
    *sorted(f"modules/{path.name}" for path in (TERRAFORM / "modules").iterdir() if path.is_dir()),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of terraform/ and of the state machines it reads, without state or downloads."""
    ignored = shutil.ignore_patterns("*.tfstate*", ".terraform*", "model.auto.tfvars.json", "backend.tf")
    shutil.copytree(TERRAFORM, tmp_path / "terraform", ignore=ignored)
    shutil.copytree(ROOT / "asl", tmp_path / "asl")
    return tmp_path / "terraform"


def run(folder: Path, *arguments: str) -> str:
    """Return what `terraform ARGUMENTS` prints in the folder; fail with it where it fails."""
    environment = clean_environment(
        {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TF_"))}
    )
    done = subprocess.run(
        ["terraform", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, (
        f"terraform {' '.join(arguments)} in {folder.name}:\n{done.stdout}{done.stderr}"
    )
    return done.stdout


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_file_is_formatted(folder: str) -> None:
    run(TERRAFORM / folder, "fmt", "-check", "-diff")


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_variable_and_output_is_described(folder: str) -> None:
    for name in ("variables.tf", "outputs.tf"):
        blocks = re.findall(
            r'^(?:variable|output) "(\w+)" \{\n(.*?)^\}', (TERRAFORM / folder / name).read_text(), re.S | re.M
        )
        assert blocks
        assert [block for block, body in blocks if not re.search(r'^  description = "', body, re.M)] == []
        if name == "variables.tf":
            assert [block for block, body in blocks if not re.search(r"^  type +=", body, re.M)] == []


def test_no_module_asks_which_target_it_is_for() -> None:
    for path in TERRAFORM.rglob("*.tf"):
        if ".terraform" not in path.parts:
            assert not re.search(r"terraform\.workspace|is_local|target\s*==", path.read_text()), path


def initialise(folder: Path) -> None:
    terraform_version()
    mirror = find_provider_mirror()
    run(folder, "init", "-backend=false", "-no-color", *([f"-plugin-dir={mirror}"] if mirror else []))


@pytest.mark.slow
def test_the_examples_of_the_readmes_are_valid(copy: Path) -> None:
    readmes = sorted((copy / "modules").glob("*/README.md"))
    examples = [
        text for readme in readmes for text in re.findall(r"```hcl\n(.*?)```", readme.read_text(), re.S)
    ]
    assert len(examples) == len(readmes) == len(FOLDERS) - 1
    for path in (*copy.glob("*.tf"), *copy.glob("*.json")):
        path.unlink()
    (copy / "main.tf").write_text("\n".join(examples))
    run(copy, "fmt", "-check", "-diff")
    initialise(copy)
    run(copy, "validate", "-no-color")


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_each_module_is_valid_and_passes_its_own_tests(folder: str, copy: Path) -> None:
    initialise(copy / folder)
    run(copy / folder, "validate", "-no-color")
    passed = re.search(r"Success! (\d+) passed, 0 failed\.", run(copy / folder, "test", "-no-color"))
    assert passed and int(passed[1]) >= 5
