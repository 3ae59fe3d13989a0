"""Staging against a real S3 protocol: everything once, unchanged files never again, dataset.json last."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from data_helpers import content, settings_in, write_archive
from moto.server import ThreadedMotoServer

from scones_ops.aws import client
from scones_ops.commands import data as command
from scones_ops.data import prepare_dataset, stage_dataset, staging
from scones_ops.data.dataset import Dataset
from scones_ops.errors import DatasetInvalid, InfrastructureFailed
from scones_ops.settings import Settings

BUCKET = "scones-test"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def settings(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Settings:
    archive = write_archive(tmp_path / "a.tar.gz", content(per_class=10))
    settings = settings_in(tmp_path, archive=str(archive), scones_local_port=str(port))
    for name in (*settings.environment(), "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"):
        monkeypatch.setenv(name, "")  # so that what apply_environment sets is undone after the test
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return settings


@pytest.fixture
def dataset(settings: Settings) -> Dataset:
    return prepare_dataset(settings, allow_generated=False)


@pytest.fixture
def s3(settings: Settings) -> Iterator[Any]:
    s3 = client(settings, "s3")
    s3.create_bucket(Bucket=BUCKET)
    yield s3
    for item in objects(s3).values():
        s3.delete_object(Bucket=BUCKET, Key=item["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def objects(s3: Any) -> dict[str, Any]:
    return {item["Key"]: item for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())}


def test_every_file_is_in_the_bucket_as_it_is_on_disk(settings: Settings, dataset: Dataset, s3: Any) -> None:
    uri = stage_dataset(settings, dataset, BUCKET)
    assert uri == f"s3://{BUCKET}/datasets/{dataset.dataset_id}"
    expected = {p.path for p in dataset.pictures} | {
        "train.lst",
        "validation.lst",
        "test.lst",
        "dataset.json",
    }
    stored = objects(s3)
    assert set(stored) == {f"datasets/{dataset.dataset_id}/{path}" for path in expected}
    for key in stored:
        answer = s3.get_object(Bucket=BUCKET, Key=key)
        assert answer["Body"].read() == (dataset.folder / key.split("/", 2)[2]).read_bytes()
        assert answer["ContentType"] == {
            "png": "image/png", "lst": "text/tab-separated-values", "son": "application/json"
        }[key[-3:]]  # fmt: skip


def test_the_second_time_nothing_is_sent(
    settings: Settings, dataset: Dataset, s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stage_dataset(settings, dataset, BUCKET)
    before = objects(s3)
    capsys.readouterr()
    stage_dataset(settings, dataset, BUCKET)
    assert {key: item["LastModified"] for key, item in objects(s3).items()} == {
        key: item["LastModified"] for key, item in before.items()
    }
    assert f"0 files uploaded, {len(before)} were there already" in capsys.readouterr().out


def test_a_missing_and_a_changed_object_are_sent_again(
    settings: Settings, dataset: Dataset, s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stage_dataset(settings, dataset, BUCKET)
    prefix = f"datasets/{dataset.dataset_id}"
    gone, same_size, shorter = dataset.pictures[:3]
    s3.delete_object(Bucket=BUCKET, Key=f"{prefix}/{gone.path}")
    s3.put_object(
        Bucket=BUCKET, Key=f"{prefix}/{same_size.path}", Body=bytes(dataset.file(same_size).stat().st_size)
    )
    s3.put_object(Bucket=BUCKET, Key=f"{prefix}/{shorter.path}", Body=b"x")
    capsys.readouterr()
    stage_dataset(settings, dataset, BUCKET)
    assert ": 3 files uploaded" in capsys.readouterr().out
    for picture in (gone, same_size, shorter):
        body = s3.get_object(Bucket=BUCKET, Key=f"{prefix}/{picture.path}")["Body"].read()
        assert body == dataset.file(picture).read_bytes()


def test_under_a_kms_key_the_checksum_in_the_metadata_counts(
    settings: Settings,
    dataset: Dataset,
    s3: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stage_dataset(settings, dataset, BUCKET)
    as_listed = staging._list

    def without_md5(*arguments: Any) -> dict[str, Any]:
        return {key: replace(item, etag="no md5") for key, item in as_listed(*arguments).items()}

    monkeypatch.setattr(staging, "_list", without_md5)
    capsys.readouterr()
    stage_dataset(settings, dataset, BUCKET)
    assert ": 0 files uploaded" in capsys.readouterr().out


def test_a_picture_changed_on_disk_is_not_staged_under_the_old_id(
    settings: Settings, dataset: Dataset, s3: Any
) -> None:
    dataset.file(dataset.pictures[5]).write_bytes(b"something else")
    with pytest.raises(DatasetInvalid, match=r"is not what dataset\.json says"):
        stage_dataset(settings, dataset, BUCKET)
    assert f"datasets/{dataset.dataset_id}/dataset.json" not in objects(s3)


def test_interrupted_it_goes_on_and_the_manifest_comes_last(
    settings: Settings, dataset: Dataset, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, last = staging._send, dataset.pictures[-1].path

    def interrupted(s3: Any, bucket: str, upload: Any, stored: Any) -> bool:
        if upload.key.endswith(last):
            raise KeyboardInterrupt
        return send(s3, bucket, upload, stored)

    monkeypatch.setattr(staging, "_send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stage_dataset(settings, dataset, BUCKET)
    assert f"datasets/{dataset.dataset_id}/dataset.json" not in objects(s3)
    monkeypatch.undo()
    settings.apply_environment()
    stage_dataset(settings, dataset, BUCKET)
    document = s3.get_object(Bucket=BUCKET, Key=f"datasets/{dataset.dataset_id}/dataset.json")["Body"].read()
    assert json.loads(document)["dataset_id"] == dataset.dataset_id


def test_a_missing_bucket_is_told_in_one_line(settings: Settings, dataset: Dataset, s3: Any) -> None:
    with pytest.raises(InfrastructureFailed, match=r"no-such-bucket does not exist.*make deploy") as error:
        stage_dataset(settings, dataset, "no-such-bucket")
    assert "\n" not in str(error.value)


def test_the_command_prepares_and_stages(
    settings: Settings, s3: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    args = parser.parse_args(["data", "--archive", settings.archive, "--stage", BUCKET])
    assert args.run(args, replace(settings, archive="")) == 0
    said = capsys.readouterr().out
    assert "18 train, 2 validation, 8 test" in said
    assert f"s3://{BUCKET}/datasets/" in said
    assert objects(s3)
