"""The training script, really run on pictures drawn here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from container_parts import NAMES, drawn, write_channels

from scones_ops.container import inference, learn, train
from scones_ops.container.augment import random_views


def arguments(classes: int = 2, **options: object) -> list[str]:
    given = {"classes": json.dumps(NAMES[:classes]), "epochs": 1, "batch_size": 8, **options}
    return [part for key, value in given.items() for part in (f"--{key}", str(value))]


def views(image: torch.Tensor, count: int = 64, seed: int = 0) -> torch.Tensor:
    return random_views(image.repeat(count, 1, 1, 1), torch.Generator().manual_seed(seed), 96)


def test_each_view_of_a_picture_is_another_one_and_a_seed_repeats_them() -> None:
    image = torch.from_numpy(np.array(drawn(0, 0))).permute(2, 0, 1)[None]
    looks = views(image)
    assert looks.shape == (64, 3, 96, 96)
    assert len({look.numpy().tobytes() for look in looks}) == 64
    assert torch.equal(looks, views(image)) and not torch.equal(looks, views(image, seed=1))


def test_half_of_the_views_are_mirrored_and_none_stands_on_its_head() -> None:
    image = torch.zeros(1, 3, 32, 32)
    image[0, 0, :, :16] = image[0, 1, :16] = 255  # red on the left, green above
    looks = views(image, count=200)
    red_left = looks[:, 0, :, :48].mean((1, 2)) > looks[:, 0, :, 48:].mean((1, 2))
    green_above = looks[:, 1, :48].mean((1, 2)) > looks[:, 1, 48:].mean((1, 2))
    assert 0.35 < red_left.float().mean() < 0.65
    assert green_above.all()


def test_no_view_has_a_border_that_the_picture_has_not() -> None:
    assert torch.allclose(views(torch.full((1, 3, 32, 32), 200.0)), torch.tensor(200.0), atol=1e-2)


def test_hyperparameters_of_others_are_let_pass() -> None:
    args = train.arguments([*arguments(), "--dataset_id", "0123456789ab", "--generated", "False"])
    assert args.classes == list(NAMES[:2])


@pytest.mark.slow
def test_a_job_leaves_a_model_that_serves(tmp_path: Path) -> None:
    environment = write_channels(tmp_path, classes=3, train=16, validation=6)
    described = json.dumps({"dataset_id": "0123456789ab", "generated": True})
    ran = subprocess.run(
        [sys.executable, train.__file__, *arguments(3, dataset=described, seed=5)],
        env={"PATH": "", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "epoch=1/1 train:loss=" in ran.stdout and "validation:accuracy=" in ran.stdout
    assert "generated data" in ran.stdout

    folder = Path(environment["SM_MODEL_DIR"])
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "code/inference.py", "code/requirements.txt", "model.json", "model.onnx",
    ]  # fmt: skip
    facts = json.loads((folder / "model.json").read_text())
    assert facts["classes"] == list(NAMES) and facts["seed"] == 5
    assert facts["dataset"] == {"dataset_id": "0123456789ab", "generated": True}
    assert np.shape(facts["validation"]["probabilities"]) == (18, 3)
    assert facts["metrics"]["validation_pictures"] == 18
    assert facts["metrics"]["validation_accuracy"] > 0.8

    model = inference.model_fn(str(folder))
    answers = [inference.predict_fn(drawn(label, 5000 + i), model) for label in range(3) for i in range(5)]
    right = np.argmax(answers, axis=1) == np.repeat(np.arange(3), 5)
    assert right.mean() > 0.8, "pictures that the job never saw"


@pytest.mark.slow
def test_the_same_seed_and_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    environment = write_channels(tmp_path)
    models = []
    for number in range(2):
        folder = tmp_path / f"model_{number}"
        folder.mkdir()
        subprocess.run(
            [sys.executable, train.__file__, *arguments(seed=5)],
            env={**environment, "SM_MODEL_DIR": str(folder)},
            check=True,
        )
        models.append({str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()})
    assert len(models[0]) == 4 and models[0] == models[1]


@pytest.mark.slow
def test_a_fault_in_the_channels_ends_the_job_with_one_line(tmp_path: Path) -> None:
    environment = write_channels(tmp_path)
    (tmp_path / "train" / "box_3.png").write_bytes(b"?")
    ran = subprocess.run(
        [sys.executable, train.__file__, *arguments()], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert ran.stderr.strip().startswith("ChannelInvalid: box_3.png is not a picture")


def fine_tuning(seed: int = 3, epochs: int = 2) -> learn.FineTuning:
    torch.manual_seed(seed)
    pictures = np.stack([np.asarray(drawn(i % 2, i)) for i in range(16)])
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    model = learn.build(2, frozen_blocks=3, dropout=0.2, device=torch.device("cpu"))
    recipe = learn.Recipe(epochs=epochs, rate=1e-3, batch=8, weight_decay=0.02, seed=seed)
    return learn.FineTuning(model, pixels, torch.arange(16) % 2, recipe)


def weights(run: learn.FineTuning) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in run.average.parameters()]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_also_after_an_interruption(tmp_path: Path) -> None:
    whole = fine_tuning()
    list(whole.epochs())

    first = fine_tuning()
    next(first.epochs())
    first.save(tmp_path / "checkpoint.pt")
    second = fine_tuning()
    assert second.resume(tmp_path / "checkpoint.pt") and second.epoch == 1
    list(second.epochs())
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(second), strict=True))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_of_another_recipe_is_not_gone_on_with(tmp_path: Path) -> None:
    fine_tuning().save(tmp_path / "checkpoint.pt")
    assert not fine_tuning(epochs=5).resume(tmp_path / "checkpoint.pt")
    assert not fine_tuning().resume(tmp_path / "missing.pt")
