"""The Lambda zips: whole, and the same bytes for the same source."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scones_ops import packaging
from scones_ops.errors import PackagingFailed
from scones_ops.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"SCONES_BUILD": str(tmp_path / "build")}, ROOT)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with one function `greet`, which needs the package `hello` and shares `words`."""
    root = tmp_path / "clone"
    for name, text in {
        "lambdas/greet/handler.py": "from shared.words import GREETING\n",
        "lambdas/greet/requirements.txt": "hello  # says it\n",
        "lambdas/shared/words.py": "GREETING = 'hello'\n",
        "terraform/scones.auto.tfvars.json": (ROOT / "terraform/scones.auto.tfvars.json").read_text(),
        "constraints.txt": "hello==1.0\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index on disk with `hello` 1.0 and 2.0."""
    folder = tmp_path / "index"
    folder.mkdir()
    for version in ("1.0", "2.0"):
        info = f"hello-{version}.dist-info"
        with zipfile.ZipFile(folder / f"hello-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr("hello/__init__.py", f"VERSION = {version!r}\n")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: hello\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def aws_settings(clone: Path) -> Settings:
    return load_settings({"TARGET": "aws"}, clone)


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_the_same_source_gives_the_same_bytes_under_any_umask_and_clock(tmp_path: Path) -> None:
    contents = []
    for umask, clock in ((0o022, 1_000_000_000), (0o077, 1_700_000_000)):
        before = os.umask(umask)
        try:
            root = tmp_path / str(umask)
            shutil.copytree(ROOT / "lambdas", root / "lambdas")
            (root / "terraform").mkdir()
            shutil.copy(ROOT / "terraform/scones.auto.tfvars.json", root / "terraform")
            for path in root.rglob("*"):
                os.utime(path, (clock, clock))
            packages = packaging.package_functions(load_settings({}, root))
        finally:
            os.umask(before)
        contents.append([package.path.read_bytes() for package in packages])
    assert contents[0] == contents[1]


def test_every_function_can_be_imported_from_its_zip_alone(settings: Settings, tmp_path: Path) -> None:
    packages = packaging.package_functions(settings)
    assert [p.name for p in packages] == ["classify_image", "filter_classes", "serialize_image"]
    for package in packages:
        folder = tmp_path / package.name
        with zipfile.ZipFile(package.path) as archive:
            archive.extractall(folder)
        check = f"import sys; sys.path.insert(0, {str(folder)!r}); import handler; print(handler.__file__)"
        environment = os.environ | {
            "ENDPOINT_NAME": "e",
            "THRESHOLD": "0.9",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        done = subprocess.run(
            [sys.executable, "-I", "-c", check], env=environment, capture_output=True, text=True
        )
        assert done.stdout.strip() == str(folder / "handler.py"), done.stderr


def test_the_picture_function_brings_pillow_and_the_others_do_not(settings: Settings) -> None:
    packages = {package.name: names(package.path) for package in packaging.package_functions(settings)}
    assert "PIL/Image.py" in packages["serialize_image"]
    assert any(name.startswith("pillow.libs/") for name in packages["serialize_image"])
    assert not any(name.startswith("PIL/") for name in packages["classify_image"])


def test_no_zip_holds_what_differs_from_machine_to_machine(settings: Settings) -> None:
    for package in packaging.package_functions(settings):
        for name in names(package.path):
            assert "__pycache__" not in name
            assert Path(name).name not in ("RECORD", "INSTALLER", "REQUESTED", "requirements.txt")
            assert not name.startswith(("/", ".."))


def test_an_unchanged_function_is_not_built_again(clone: Path, wheels: Path) -> None:
    settings = aws_settings(clone)
    assert [p.changed for p in packaging.package_functions(settings)] == [True]
    assert [p.changed for p in packaging.package_functions(settings)] == [False]
    (clone / "lambdas/shared/words.py").write_text("GREETING = 'good morning'\n")
    assert [p.changed for p in packaging.package_functions(settings)] == [True]


def test_on_aws_the_pinned_wheel_is_fetched_once(clone: Path, wheels: Path) -> None:
    settings = aws_settings(clone)
    (package,) = packaging.package_functions(settings)
    with zipfile.ZipFile(package.path) as archive:
        assert archive.read("hello/__init__.py") == b"VERSION = '1.0'\n"
        assert "hello-1.0.dist-info/RECORD" not in archive.namelist()
    shutil.rmtree(wheels)
    package.path.unlink()
    assert packaging.package_functions(settings)[0].size > 0


def test_a_wheel_that_cannot_be_had_is_one_clear_line(clone: Path, wheels: Path) -> None:
    (clone / "constraints.txt").write_text("hello==3.0\n")
    with pytest.raises(
        PackagingFailed, match=r"no wheel of hello for Lambda's python3\.\d+ could be had"
    ) as error:
        packaging.package_functions(aws_settings(clone))
    assert "\n" not in str(error.value)
    assert not list((clone / "build").rglob("*.whl"))


def test_a_package_that_is_not_installed_is_one_clear_line(clone: Path) -> None:
    with pytest.raises(PackagingFailed, match="hello is not installed: run `make setup`"):
        packaging.package_functions(load_settings({}, clone))


def test_local_zips_do_not_lie_where_a_plain_apply_to_aws_looks(clone: Path) -> None:
    local = packaging.package_dir(load_settings({"TARGET": "local"}, clone))
    aws = packaging.package_dir(load_settings({"TARGET": "aws"}, clone))
    assert aws == clone / "build" / "lambda"
    assert local != aws


def test_an_interrupted_build_leaves_no_half_a_zip(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(packaging, "zip_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        packaging.package_functions(settings)
    assert not list(packaging.package_dir(settings).glob("*.zip"))


def test_the_runtime_comes_from_the_file_terraform_reads(clone: Path) -> None:
    shared = clone / "terraform/scones.auto.tfvars.json"
    shared.write_text(json.dumps(json.loads(shared.read_text()) | {"lambda_runtime": "python3.13"}))
    assert packaging.lambda_runtime(clone) == "python3.13"


def test_a_folder_without_functions_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(PackagingFailed, match="holds no function"):
        packaging.package_functions(dataclasses.replace(settings, root=tmp_path))
