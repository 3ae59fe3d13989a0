"""What training does to a picture before each look at it: moved, turned, resized, perhaps mirrored."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SHIFT = 4 / 32  # of the side, either way
TURN = math.radians(12)
RESIZE = 0.2  # share larger or smaller, by axis


def random_views(pixels: Tensor, generator: torch.Generator, size: int) -> Tensor:
    """Return `(n, 3, size, size)` float pixels, a random view of each of `(n, 3, h, w)`.

    Movement and enlargement to the network's size are one bilinear sampling, so nothing is blurred twice.
    Beyond its border a picture is reflected: no black edge tells the network how far it was moved.
    """
    count = len(pixels)

    def uniform(low: float, high: float, columns: int = 1) -> Tensor:
        return low + (high - low) * torch.rand(count, columns, generator=generator)

    angle = uniform(-TURN, TURN)
    scale = uniform(1 - RESIZE, 1 + RESIZE, 2)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    shift = uniform(-2 * SHIFT, 2 * SHIFT, 2)  # affine_grid's coordinates run from -1 to 1
    cos, sin = angle.cos(), angle.sin()
    first = torch.cat([mirror * scale[:, :1] * cos, -sin * scale[:, 1:], shift[:, :1]], dim=1)
    second = torch.cat([mirror * scale[:, :1] * sin, cos * scale[:, 1:], shift[:, 1:]], dim=1)
    transform = torch.stack([first, second], dim=1).to(pixels.device)
    grid = F.affine_grid(transform, [count, 3, size, size], align_corners=False)
    return F.grid_sample(pixels.float(), grid, padding_mode="reflection", align_corners=False)
