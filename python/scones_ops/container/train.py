"""Script mode entry point of the training job: fine-tunes, calibrates, exports to ONNX.

Runs under sagemaker-training, which gives the channels and output folders as SM_* variables and the
hyperparameters as options. Channels: train and validation (PNG files), train_lst and validation_lst (a .lst
file each).
The test pictures are no channel: nothing here can choose by them.
"""

from __future__ import annotations

import argparse
import json
import os

# Before torch is loaded: a thread that waits then sleeps. Spinning, on cores that others use too, took ten
# times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scones_ops.container import calibrate, export, learn, network
from scones_ops.container.pictures import SIZE, ChannelInvalid, Pictures, read_channel

SERVING_FILES = Path(export.__file__).resolve().parent  # this script lies at the root of what was submitted


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the hyperparameters; sagemaker-training's own (sagemaker_*) and unknown ones are let pass."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--classes", type=json.loads, required=True, help="JSON list, in label order")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dataset", type=json.loads, default={}, help="JSON object kept in model.json")
    parser.add_argument("--code_version", default="unknown")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--learning_rate", type=float, default=3e-4)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--weight_decay", type=float, default=0.02)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--frozen_blocks", type=int, default=3)
    parser.add_argument("--checkpoint_dir", type=Path, default=None, help="go on from here (managed spot)")
    known, _ = parser.parse_known_args(argv)
    return known


def main(args: argparse.Namespace, environment: dict[str, str]) -> None:
    """Train on the channels of `environment` and fill SM_MODEL_DIR.

    Seconds go to the log only: the same seed, pictures and code give the same bytes.
    """
    start = time.perf_counter()
    channel = {name: Path(environment[f"SM_CHANNEL_{name.upper()}"]) for name in
               ("train", "train_lst", "validation", "validation_lst")}  # fmt: skip
    count = len(args.classes)
    train = read_channel(channel["train"], channel["train_lst"], count)
    validation = read_channel(channel["validation"], channel["validation_lst"], count)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    said = (
        f"{len(train)} training and {len(validation)} validation pictures, {count} classes, on {device.type}"
    )
    print(said + (f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""), flush=True)

    model = fine_tune(args, train, device)
    logits = network.predict(model, _channels_first(validation)).double().numpy()
    temperature = calibrate.fit_temperature(logits, validation.labels)
    probabilities = calibrate.softmax(logits, temperature)
    held_out = calibrate.held_out_probabilities(logits, validation.labels)
    metrics = {
        "validation_accuracy": calibrate.accuracy(probabilities, validation.labels),
        "validation_loss": calibrate.log_loss(held_out, validation.labels),
        "validation_calibration_error": calibrate.calibration_error(held_out, validation.labels),
        "uncalibrated_error": calibrate.calibration_error(calibrate.softmax(logits), validation.labels),
        "validation_pictures": len(validation),
        "training_pictures": len(train),
    }

    folder = Path(environment["SM_MODEL_DIR"])
    export.write_onnx(folder / "model.onnx", model, temperature)
    sample = validation.pixels[:64]
    metrics["export_difference"] = export.check(folder / "model.onnx", model, temperature, sample)
    facts = {
        "classes": args.classes,
        "input_size": [SIZE, SIZE],
        "temperature": temperature,
        "dataset": args.dataset,
        "code_version": args.code_version,
        "seed": args.seed,
        "metrics": metrics,
        "threshold_study": calibrate.threshold_study(held_out, validation.labels),
        "validation": {
            "labels": validation.labels.tolist(),
            "probabilities": np.round(probabilities, 6).tolist(),
        },
    }
    write_serving_files(folder, facts)
    if args.dataset.get("generated"):
        print("generated data: these numbers say nothing about real pictures")
    print(f"temperature={temperature:.4f} export difference={metrics['export_difference']:.1e}")
    # The metric definitions of the job read this line.
    print(f"validation:accuracy={metrics['validation_accuracy']:.4f} "
          f"validation:loss={metrics['validation_loss']:.4f} "
          f"validation:calibration_error={metrics['validation_calibration_error']:.4f} "
          f"training:seconds={time.perf_counter() - start:.1f}", flush=True)  # fmt: skip


def fine_tune(args: argparse.Namespace, train: Pictures, device: torch.device) -> network.Classifier:
    """Return the trained classifier; prints a line an epoch."""
    torch.manual_seed(args.seed)
    model = learn.build(len(args.classes), args.frozen_blocks, args.dropout, device)
    pixels, labels = _channels_first(train), torch.from_numpy(train.labels)
    start = time.perf_counter()
    learn.fit_head(model, pixels, labels)
    print(f"linear head on frozen features: {time.perf_counter() - start:.1f} s", flush=True)
    recipe = learn.Recipe(args.epochs, args.learning_rate, args.batch_size, args.weight_decay, args.seed)
    run = learn.FineTuning(model, pixels, labels, recipe)
    checkpoint = args.checkpoint_dir / "fine_tuning.pt" if args.checkpoint_dir else None
    if checkpoint and run.resume(checkpoint):
        print(f"going on after epoch {run.epoch} from {checkpoint}", flush=True)
    for epoch in run.epochs():
        print(
            f"epoch={epoch.number}/{recipe.epochs} train:loss={epoch.loss:.4f} seconds={epoch.seconds:.1f}",
            flush=True,
        )
        if checkpoint:
            run.save(checkpoint)
    return run.average


def write_serving_files(folder: Path, facts: dict[str, Any]) -> None:
    """Write model.json, and what serves the model beside it: code/inference.py and code/requirements.txt."""
    (folder / "model.json").write_text(json.dumps(facts, indent=1) + "\n")
    code = folder / "code"
    code.mkdir(exist_ok=True)
    shutil.copyfile(SERVING_FILES / "inference.py", code / "inference.py")
    shutil.copyfile(SERVING_FILES / "requirements-inference.txt", code / "requirements.txt")


def _channels_first(pictures: Pictures) -> Tensor:
    """`(n, 3, 32, 32) uint8`."""
    return torch.from_numpy(pictures.pixels).permute(0, 3, 1, 2).contiguous()


if __name__ == "__main__":
    try:
        main(arguments(), dict(os.environ))
    except (ChannelInvalid, export.ExportDiffers) as fault:
        sys.exit(f"{type(fault).__name__}: {fault}")
