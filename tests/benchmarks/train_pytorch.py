"""Images a second of the same expression network in plain PyTorch, as JSON: for `bench_train`.

What a PyTorch user would write for a CPU: channels_last, autocast to bfloat16, fused AdamW.
"""

import json
import sys
import time
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

BLOCKS, WARM_STEPS = 2, 4


def convolution(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A 3x3 convolution and its batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
    )


class Block(nn.Module):
    """`emotion_ai.networks.blocks.residual_block`."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, stride)
        self.second = convolution(outputs, outputs, 1)
        self.stride = stride
        self.around = nn.Identity()
        if inputs != outputs:
            narrow = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.around = nn.Sequential(narrow, nn.BatchNorm2d(outputs))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps [n, channels, H, W]."""
        around = F.avg_pool2d(features, 2) if self.stride > 1 else features
        inside = self.second(F.relu(self.first(features)))
        return F.relu(self.around(around) + inside)


def network(widths: list[int]) -> nn.Sequential:
    """The expression network, two blocks a stage."""
    layers: list[nn.Module] = [convolution(1, widths[0], 2), nn.ReLU()]
    inputs = widths[0]
    for stage, width in enumerate(widths):
        for block in range(BLOCKS):
            layers.append(Block(inputs, width, 2 if stage and not block else 1))
            inputs = width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(inputs, 7)]
    return nn.Sequential(*layers, *head).to(memory_format=torch.channels_last)


def main(precision: str, widths: str, threads: int, steps: int, batch_size: int) -> None:
    """Print images a second from one batch again and again, and the number of parameters."""
    torch.set_num_threads(threads)
    model = network([*map(int, widths.split("-"))])
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    images = torch.randn(batch_size, 1, 48, 48).to(memory_format=torch.channels_last)
    emotions = torch.randint(0, 7, (batch_size,))

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.cross_entropy(model(images), emotions, label_smoothing=0.1)
        loss.backward()
        optimizer.step()

    for _ in range(WARM_STEPS):
        step()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    rate = batch_size * steps / (time.perf_counter() - started)
    print(json.dumps({"cached batch": rate}))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
