"""`scones-ops train`: from the archive to a model that is handed over."""

from __future__ import annotations

import argparse
import time

from scones_ops.aws import account
from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.handoff import ModelRecord, endpoint_wanted, write_handoff
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "train",
        "Stage the data, train on SageMaker, check the gate, hand the model over to Terraform.",
        "TARGET=aws scones-ops train",
        run,
    )
    parser.add_argument(
        "--job", metavar="NAME", help="take up this training job, which an earlier command submitted and lost"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Train a model and hand it over, or hand over what an earlier command's job makes."""
    if args.job is None:
        train(settings, allow_generated=False)
    else:
        adopt(settings, args.job)
    return 0


def adopt(settings: Settings, job: str) -> ModelRecord:
    """Return the record of the model that the training job makes or made, handed over."""
    from scones_ops.infra import Infrastructure
    from scones_ops.training import adopt_job

    account(settings)
    record = adopt_job(settings, job, bucket=Infrastructure(settings).outputs().bucket_name)
    path = write_handoff(settings, record, endpoint_wanted(settings))
    note = " (generated data)" if record.generated else ""
    say(f"{record.name} of training job {job}{note} handed over in {path}")
    return record


def train(settings: Settings, *, allow_generated: bool) -> ModelRecord:
    """Return the record of a newly trained model, handed over; applies the infrastructure if that is not yet.

    An endpoint that was switched off stays off until the next deploy.
    """
    from scones_ops.data import prepare_dataset, stage_dataset
    from scones_ops.infra import Infrastructure
    from scones_ops.training import check_algorithm, train_model

    check_algorithm(settings)
    if settings.target == "aws":
        account(settings)  # before a long download, not after it
    dataset = prepare_dataset(settings, allow_generated=allow_generated)
    if settings.target == "local":
        from scones_ops.local.control import ensure_up

        ensure_up(settings)
    infrastructure = Infrastructure(settings)
    if not infrastructure.is_applied():
        infrastructure.apply()
    outputs = infrastructure.outputs()
    dataset_uri = stage_dataset(settings, dataset, outputs.bucket_name)
    start = time.monotonic()
    record = train_model(
        settings,
        dataset_uri=dataset_uri,
        dataset=dataset,
        bucket=outputs.bucket_name,
        training_role_arn=outputs.training_role_arn,
    )
    path = write_handoff(settings, record, endpoint_wanted(settings))
    note = " (generated data)" if record.generated else ""
    say(f"trained in {time.monotonic() - start:.0f} s{note}; {record.name} handed over in {path}")
    return record
