"""What training does to a picture before each look at it: another crop, perhaps mirrored."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SHIFT = 4  # px of the 32, either way, as is usual for CIFAR


def shift_and_mirror(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return `(n, 3, h, w)` float pixels, each shifted by up to SHIFT px and mirrored half of the time.

    Border pixels are reflected, so that no black edge tells the network how far a picture was moved.
    """
    count, _, height, width = pixels.shape
    padded = F.pad(pixels.float(), (SHIFT,) * 4, mode="reflect")
    tops, lefts = torch.randint(0, 2 * SHIFT + 1, (2, count), generator=generator).tolist()
    crops = [
        image[:, top : top + height, left : left + width]
        for image, top, left in zip(padded, tops, lefts, strict=True)
    ]
    mirrored = torch.rand(count, generator=generator) < 0.5
    shifted = torch.stack(crops)
    return torch.where(mirrored.to(shifted.device)[:, None, None, None], shifted.flip(3), shifted)
