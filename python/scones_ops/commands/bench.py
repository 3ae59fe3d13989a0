"""`scones-ops bench`: how fast the endpoint answers, beside bare ONNX Runtime."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    add_command(
        subparsers,
        "bench",
        "Measure the deployed endpoint over the test pictures, beside bare ONNX Runtime in the same run.",
        "scones-ops bench",
        run,
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Measure, print the table and write build/<workspace>/bench.json."""
    from scones_ops import bench
    from scones_ops.aws import account
    from scones_ops.data import load_dataset

    account(settings)
    dataset = load_dataset(settings.dataset_dir)
    bodies = [dataset.file(picture).read_bytes() for picture in dataset.split("test")]
    note = ", generated data" if dataset.generated else ""
    say(f"endpoint {settings.endpoint_name}: {len(bodies)} test pictures{note}")
    speeds = bench.run_bench(settings, bodies)
    say(bench.table(speeds))
    about = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "target": settings.target,
        "endpoint": settings.endpoint_name,
        "dataset_id": dataset.dataset_id,
        "generated": dataset.generated,
    }
    say(f"written to {bench.write_bench(settings, speeds, about)}")
    return 0
