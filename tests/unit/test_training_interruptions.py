"""A job that costs money is not lost: interrupts, and errors of network and service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, SSOTokenLoadError
from sagemaker.core.resources import TrainingJob
from training_parts import facts, model_tar
from training_service import ARTIFACT, JOB, connected, put, service, train

from scones_ops.aws import client
from scones_ops.errors import TrainingFailed
from scones_ops.settings import Settings
from scones_ops.training import follow, start

UNREACHABLE = EndpointConnectionError(endpoint_url="https://api.sagemaker")
EXPIRED = SSOTokenLoadError(error_msg="the token has expired")


def refused(operation: str, code: str, message: str = "no", status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        operation,
    )


NOT_FOUND = refused("DescribeTrainingJob", "ValidationException", "Requested resource not found.")
ROLE_IS_NEW = refused(
    "CreateTrainingJob", "ValidationException", "Could not assume role arn:aws:iam::1:role/x. Please ensure"
)
THROTTLED = refused("DescribeTrainingJob", "ThrottlingException", "Rate exceeded")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with service() as port:
        yield port


@pytest.fixture
def settings(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    with connected(tmp_path, port, monkeypatch) as settings:
        yield settings


def first_raise(real: Callable[..., Any], *errors: BaseException) -> Callable[..., Any]:
    """`real`, which raises `errors` at its first calls."""
    left = list(errors)

    def call(*args: Any, **kwargs: Any) -> Any:
        if left:
            raise left.pop(0)
        return real(*args, **kwargs)

    return call


@dataclass
class Stopper:
    """SageMaker, as far as a job is stopped in it; the service of these tests cannot."""

    error: BaseException | None = None
    stopped: list[str] = field(default_factory=list)

    def stop_training_job(self, *, TrainingJobName: str) -> None:
        if self.error:
            raise self.error
        self.stopped.append(TrainingJobName)


@pytest.fixture
def stopper(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Stopper:
    stopper = Stopper()
    monkeypatch.setattr(
        follow, "client", lambda settings, name: stopper if name == "sagemaker" else client(settings, name)
    )
    return stopper


@pytest.mark.parametrize("moment", ["get", "refresh"], ids=["while it is created", "while it is followed"])
def test_an_interrupt_stops_the_job_because_it_costs_money(
    settings: Settings, stopper: Stopper, tmp_path: Path, moment: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(TrainingJob, moment, first_raise(getattr(TrainingJob, moment), KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path)
    assert stopper.stopped == [JOB] and "is being stopped" in capsys.readouterr().out


def test_an_interrupt_before_the_job_is_there_says_so(
    settings: Settings, stopper: Stopper, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(TrainingJob, "create", first_raise(TrainingJob.create, KeyboardInterrupt()))
    stopper.error = refused("StopTrainingJob", "ResourceNotFound", "Requested resource not found.", 404)
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path)
    assert f"{JOB} had not started, it costs nothing" in capsys.readouterr().out


@pytest.mark.parametrize("error", [UNREACHABLE, refused("StopTrainingJob", "AccessDeniedException")])
def test_a_job_that_cannot_be_stopped_is_named_with_the_way_back_to_it(
    settings: Settings, stopper: Stopper, tmp_path: Path, error: Exception,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(TrainingJob, "refresh", first_raise(TrainingJob.refresh, KeyboardInterrupt()))
    stopper.error = error
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path)
    out = capsys.readouterr().out
    assert "could not be stopped" in out and f"train --job {JOB}" in out


@pytest.mark.parametrize("moment", ["get", "refresh"])
@pytest.mark.parametrize(
    "error", [UNREACHABLE, THROTTLED, refused("DescribeTrainingJob", "InternalFailure", status=500)]
)
def test_an_error_that_passes_is_waited_out(
    settings: Settings, tmp_path: Path, moment: str, error: Exception,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    put(settings, ARTIFACT, model_tar(facts()))
    real = getattr(TrainingJob, moment)
    monkeypatch.setattr(TrainingJob, moment, first_raise(real, error, error, error))
    assert train(settings, tmp_path).training_job == JOB
    assert capsys.readouterr().out.count("no answer about the job") == 1


@pytest.mark.parametrize("error", [UNREACHABLE, EXPIRED, refused("DescribeTrainingJob", "ExpiredToken")])
def test_an_error_that_stays_names_the_job_and_the_way_back_to_it(
    settings: Settings, tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(TrainingJob, "refresh", first_raise(TrainingJob.refresh, *[error] * 99))
    with pytest.raises(TrainingFailed, match=f"`scones-ops --target local train --job {JOB}`") as caught:
        train(settings, tmp_path)
    assert "at cost" in str(caught.value) and "\n" not in str(caught.value)


def test_a_log_that_may_not_be_read_is_said_once_and_the_training_goes_on(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(**_: Any) -> Any:
        raise refused("DescribeLogStreams", "AccessDeniedException")

    logs = SimpleNamespace(describe_log_streams=denied)
    monkeypatch.setattr(follow, "client", lambda settings, name: logs)
    put(settings, ARTIFACT, model_tar(facts()))
    assert train(settings, tmp_path).training_job == JOB
    tail = follow.LogTail(logs, JOB)
    assert [*tail.new_lines(), *tail.new_lines()] == []
    assert capsys.readouterr().out.count("log cannot be read (AccessDeniedException") == 2, "once a tail"


def test_a_role_that_is_not_known_everywhere_yet_is_waited_for(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start, "ROLE_POLL_SECONDS", 0.01)
    monkeypatch.setattr(TrainingJob, "create", first_raise(TrainingJob.create, ROLE_IS_NEW, ROLE_IS_NEW))
    put(settings, ARTIFACT, model_tar(facts()))
    assert train(settings, tmp_path).training_job == JOB
    assert capsys.readouterr().out.count("cannot assume the training role yet") == 1


@pytest.mark.parametrize(
    "error", [ROLE_IS_NEW, refused("CreateTrainingJob", "ValidationException", "InstanceType is\nwrong")]
)
def test_a_refusal_that_stays_is_said_in_one_line(
    settings: Settings, tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "ROLE_PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(TrainingJob, "create", first_raise(TrainingJob.create, error))
    with pytest.raises(TrainingFailed, match=r"SageMaker refused the training job \(Valid") as caught:
        train(settings, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [UNREACHABLE, refused("CreateTrainingJob", "ResourceInUse")])
def test_a_job_whose_creation_was_not_answered_is_looked_for(
    settings: Settings, tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TrainingJob.create

    def create(**request: Any) -> None:
        real(**request)
        raise error

    monkeypatch.setattr(TrainingJob, "create", create)
    put(settings, ARTIFACT, model_tar(facts()))
    assert train(settings, tmp_path).training_job == JOB


def test_a_job_that_was_never_created_is_not_waited_for(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingJob, "create", first_raise(TrainingJob.create, UNREACHABLE))
    monkeypatch.setattr(TrainingJob, "get", first_raise(TrainingJob.get, NOT_FOUND))
    with pytest.raises(TrainingFailed, match=f"no training job {JOB}"):
        train(settings, tmp_path)


def test_without_credentials_nothing_is_submitted_and_nothing_claimed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingJob, "create", first_raise(TrainingJob.create, EXPIRED))
    with pytest.raises(BotoCoreError):
        train(settings, tmp_path)
