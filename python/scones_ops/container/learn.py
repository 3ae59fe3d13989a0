"""Fine-tuning: a linear head on the frozen network first, then all but the early blocks, weights averaged."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scones_ops.container.augment import random_views
from scones_ops.container.network import UPSAMPLED, Classifier

HEAD_PENALTY = 0.1  # on the squared weights; chosen by cross-validation on the training pictures
AVERAGE_DECAY = 0.98
WARM_UP = 0.15  # share of the steps


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune; `rate` is the highest learning rate."""

    epochs: int
    rate: float
    batch: int
    weight_decay: float
    seed: int


@dataclass(frozen=True)
class Epoch:
    """What one epoch (from 1) did: mean training loss in nats, seconds."""

    number: int
    loss: float
    seconds: float


def fit_head(model: Classifier, pixels: Tensor, labels: Tensor) -> None:
    """Set the head to the logistic regression on the network's features of `pixels` and their mirror images.

    Fine-tuning then starts from a useful head, and does not first spoil the weights below a random one.
    """
    model.eval()
    device = model.head.weight.device
    with torch.no_grad():
        both = [part.to(device).float() for part in torch.split(torch.cat([pixels, pixels.flip(3)]), 100)]
        features = torch.cat([model.features(part) for part in both])
    targets = torch.cat([labels, labels]).to(device)
    mean, scale = features.mean(0), features.std()
    inputs = (features - mean) / scale
    weight = torch.zeros_like(model.head.weight, requires_grad=True)
    bias = torch.zeros_like(model.head.bias, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        loss = F.cross_entropy(inputs @ weight.T + bias, targets) + HEAD_PENALTY * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        model.head.weight.copy_(weight / scale)
        model.head.bias.copy_(bias - (weight / scale) @ mean)


class FineTuning:
    """One run of `recipe` over `model`; `average` is the result, a running mean of the weights.

    B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging", 1992: the mean of the
    last steps' weights lies nearer the optimum than the last step's.
    """

    def __init__(self, model: Classifier, pixels: Tensor, labels: Tensor, recipe: Recipe) -> None:
        self.model, self.recipe = model, recipe
        self.average = copy.deepcopy(model)
        self.device = model.head.weight.device
        self.pixels, self.labels = pixels.to(self.device), labels.to(self.device)
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.averages = [weight for weight in self.average.parameters() if weight.requires_grad]
        self.optimiser = torch.optim.AdamW(self.weights, lr=recipe.rate, weight_decay=recipe.weight_decay)
        self.step = 0
        self.epoch = 0

    def epochs(self) -> Iterator[Epoch]:
        """Run what is left of the recipe, yielding after each epoch."""
        batches = max(1, len(self.labels) // self.recipe.batch)
        while self.epoch < self.recipe.epochs:
            start = time.perf_counter()
            self.model.train()
            order = torch.randperm(len(self.labels), generator=self.generator).tensor_split(batches)
            loss = sum(self._step(chosen, self.recipe.epochs * batches) for chosen in order) / batches
            self.epoch += 1
            yield Epoch(self.epoch, loss, time.perf_counter() - start)

    def _step(self, chosen: Tensor, steps: int) -> float:
        """One step of the optimiser on the `chosen` pictures; returns its loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate * _schedule(self.step, steps)
        chosen = chosen.to(self.device)
        pixels = random_views(self.pixels[chosen], self.generator, UPSAMPLED)
        loss = F.cross_entropy(self.model(pixels), self.labels[chosen])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.step += 1
        decay = min(AVERAGE_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, weight in zip(self.averages, self.weights, strict=True):
                mean.lerp_(weight, 1 - decay)
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write a checkpoint to `path`, whole or not at all: a spot instance may go at any moment."""
        state = {
            "recipe": self.recipe.__dict__, "epoch": self.epoch, "step": self.step,
            "model": self.model.state_dict(), "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(), "generator": self.generator.get_state(),
            "dropout": torch.get_rng_state(),
        }  # fmt: skip
        beside = path.with_name(path.name + ".part")
        torch.save(state, beside)
        beside.replace(path)

    def resume(self, path: Path) -> bool:
        """Go on from the checkpoint at `path`; False where there is none, or one of another recipe."""
        if not path.is_file():
            return False
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if state["recipe"] != self.recipe.__dict__:
            return False
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["dropout"])
        self.epoch, self.step = state["epoch"], state["step"]
        return True


def _schedule(step: int, steps: int) -> float:
    """Return the share of the highest learning rate at `step`: a linear rise, then half a cosine to 0."""
    warm_up = max(1.0, WARM_UP * steps)
    return min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / steps))


def build(classes: int, frozen_blocks: int, dropout: float, device: torch.device) -> Classifier:
    """Return an untrained classifier on `device`."""
    model: nn.Module = Classifier(classes, frozen_blocks, dropout).to(device)
    assert isinstance(model, Classifier)
    return model
