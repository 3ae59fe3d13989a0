"""Training: the job on SageMaker, the gate it must pass, and the models that passed."""

from __future__ import annotations

from scones_ops.console import say
from scones_ops.data import Dataset
from scones_ops.errors import TrainingFailed
from scones_ops.handoff import ModelRecord
from scones_ops.settings import Settings
from scones_ops.training import adopt, builtin, gate, job, registry, source
from scones_ops.training.artifact import Artifact, read_artifact
from scones_ops.training.follow import FinishedJob, find_job, resume_job, run_job

__all__ = ["adopt_job", "check_algorithm", "train_model"]


def check_algorithm(settings: Settings) -> None:
    """Raise TrainingFailed where the target cannot run settings.algorithm, before any work is done."""
    if settings.algorithm == "builtin":
        builtin.refuse_unless_aws(settings)


def train_model(
    settings: Settings, *, dataset_uri: str, dataset: Dataset, bucket: str, training_role_arn: str
) -> ModelRecord:
    """Train on the staged data set, judge the model, write its manifest and return its record.

    `dataset_uri` is s3://<bucket>/datasets/<id>. The handoff file is the caller's to write.
    Raises TrainingFailed, or GateNotPassed for a model that is not good enough: then nothing is recorded.
    """
    check_algorithm(settings)
    name = job.job_name(settings)
    if settings.algorithm == "builtin":
        image_uri = job.image(settings, builtin.FRAMEWORK)
        serving_image_uri = image_uri  # the same container serves
        request = builtin.builtin_request(
            settings, name=name, dataset_uri=dataset_uri, dataset=dataset, bucket=bucket,
            role_arn=training_role_arn, image_uri=image_uri,
        )  # fmt: skip
    else:
        serving_image_uri = job.pytorch_image(settings, "inference")
        code = source.pack(source.source_files())
        request = job.transfer_request(
            settings, name=name, dataset_uri=dataset_uri, dataset=dataset, bucket=bucket,
            role_arn=training_role_arn, source_uri=source.upload(settings, bucket, code),
            source_version=code.version, image_uri=job.pytorch_image(settings, "training"),
        )  # fmt: skip
    return _judge_and_save(settings, bucket, dataset, run_job(settings, request), serving_image_uri)


def adopt_job(settings: Settings, name: str, *, bucket: str) -> ModelRecord:
    """Follow a job that an earlier command submitted, or take it as it ended; then go on as `train_model`.

    Raises as `train_model`, and TrainingFailed where no job of this project and these classes is called so.
    """
    submitted = find_job(settings, name)
    dataset = adopt.dataset_of(settings, bucket, submitted)
    serving_image_uri = adopt.serving_image(settings, submitted)
    finished = resume_job(settings, submitted)
    return _judge_and_save(settings, bucket, dataset, finished, serving_image_uri)


def _judge_and_save(
    settings: Settings, bucket: str, dataset: Dataset, finished: FinishedJob, serving_image_uri: str
) -> ModelRecord:
    artifact = read_artifact(settings, finished.artifact_url)
    record = make_record(settings, dataset, finished, artifact, serving_image_uri)
    verdict = gate.judge(
        record.metrics,
        min_accuracy=settings.gate_min_accuracy,
        max_calibration_error=settings.gate_max_calibration_error,
    )
    note = " (generated data)" if record.generated else ""
    say(f"model {record.name} passes the gate{note}: {verdict}")
    registry.save(settings, bucket, record)
    return record


def make_record(
    settings: Settings, dataset: Dataset, finished: FinishedJob, artifact: Artifact, image_uri: str
) -> ModelRecord:
    """Return the record of the model in `artifact`; its metrics are model.json's, else the job's own.

    Raises TrainingFailed where the artifact holds a model of other classes than the data set's.
    """
    facts = artifact.facts or {
        "classes": list(dataset.classes),
        "input_size": list(dataset.image_size),
        "metrics": {
            "validation_accuracy": finished.metrics["validation:accuracy"],
            "validation_pictures": len(dataset.split("validation")),
        },
    }
    if tuple(facts["classes"]) != dataset.classes:
        raise TrainingFailed(
            f"{artifact.url} holds a model of {facts['classes']}, not of {list(dataset.classes)}"
        )
    metrics = {key: float(value) for key, value in facts["metrics"].items()}
    if finished.billable_seconds is not None:
        metrics["billable_seconds"] = float(finished.billable_seconds)
    width, height = facts["input_size"]
    return ModelRecord(
        name=f"{settings.prefix}-{artifact.sha256[:12]}",
        data_url=artifact.url,
        image_uri=image_uri,
        sha256=artifact.sha256,
        training_job=finished.name,
        classes=dataset.classes,
        input_size=(int(width), int(height)),
        metrics=metrics,
        trained_at=f"{finished.ended_at:%Y-%m-%dT%H:%M:%SZ}",
        dataset=dataset.describe(),
    )
