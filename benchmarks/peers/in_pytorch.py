"""The competitors of `peers` that are published in PyTorch.

Images and labels lie in memory as tensors, standardised before the clock
starts, and batches are slices of these: faster than a `DataLoader`.
"""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.lr_scheduler import OneCycleLR

from benchmarks.peers.competitors import PairPredictor
from benchmarks.peers.competitors import Turns

Outputs = dict[str, Tensor]


class Network(nn.Module):
    """Logits of the digit, which join the number in a head, if there is one."""

    def __init__(self, trunk: nn.Module, head: nn.Module | None = None):
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, image: Tensor, number: Tensor) -> Outputs:
        logits = self.trunk(image)
        others = self.head(logits, number) if self.head else {}
        return {"digit": logits, **others}

    def answer(self, image: Tensor) -> Outputs:
        """With each of the ten numbers: `(batch, 10, classes)`."""
        logits = self.trunk(image)
        found = {"digit": logits[:, None]}
        if self.head:
            number = torch.arange(10).repeat(len(image))
            others = self.head(logits.repeat_interleave(10, dim=0), number)
            for name, x in others.items():
                found[name] = x.reshape(len(image), 10, -1)
        return found


def seven_convolutions(channels: list[int]) -> nn.Module:
    """3x3, to ten logits; as both baselines have them."""
    layers: list[nn.Module] = []
    sizes = itertools.pairwise([1, *channels, 10])
    for i, (inputs, outputs) in enumerate(sizes):
        layers.append(nn.Conv2d(inputs, outputs, 3, padding=int(i < 4)))
        layers += [nn.ReLU()] * (i < 6)
        layers += [nn.MaxPool2d(2)] * (i in (1, 3))
    return nn.Sequential(*layers, nn.Flatten())  # (batch, 10)


def small() -> nn.Module:
    """5x5 convolution 24, 3x3 convolution 32, dense 256: the digit alone."""
    return nn.Sequential(
        *(nn.Conv2d(1, 24, 5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(24, 32, 3), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10)),
    )


class Classification(nn.Module):
    """One linear layer, without bias, on logits and number."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = nn.Linear(20, 19, bias=False)

    def forward(self, logits: Tensor, number: Tensor) -> Outputs:
        one_hot = functional.one_hot(number, 10).float()
        return {"sum": self.sum(torch.cat([logits, one_hot], dim=1))}


def dense(*sizes: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return layers


class Regression(nn.Module):
    """An MLP to a value for the sum, and one for the difference."""

    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Sequential(*dense(1, 16, 32))
        self.sum = nn.Sequential(*dense(42, 64, 128), nn.Linear(128, 1))
        self.difference = nn.Sequential(*dense(42, 64, 128), nn.Linear(128, 1))

    def forward(self, logits: Tensor, number: Tensor) -> Outputs:
        number = self.number(number[:, None].float())
        x = torch.cat([logits, number], dim=1)
        return {"sum": self.sum(x), "difference": self.difference(x)}


def cross_entropy(outputs: Outputs, targets: Outputs) -> Tensor:
    pairs = [(x, targets[name]) for name, x in outputs.items()]
    return torch.stack([functional.cross_entropy(*x) for x in pairs]).sum()


def squared_error(outputs: Outputs, targets: Outputs) -> Tensor:
    """With the digit's negative log-likelihood of what are no logarithms."""
    probabilities = functional.softmax(outputs["digit"], dim=1)
    loss = functional.nll_loss(probabilities, targets["digit"])
    for name in ("sum", "difference"):
        values = targets[name][:, None].float()
        loss = loss + functional.mse_loss(outputs[name], values)
    return loss


def warmed_up(optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler:
    """Rises over the first hundredth of the steps."""
    first = max(steps // 100, 1)
    return LambdaLR(optimizer, lambda step: min((step + 1) / first, 1.0))


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained."""

    network: Callable[[], Network]
    loss: Callable[[Outputs, Outputs], Tensor]
    optimizer: Callable
    schedule: Callable[[torch.optim.Optimizer, int], LRScheduler]
    epochs: int
    batch_size: int


RECIPES = {
    "baseline_classification": Recipe(
        lambda: Network(
            seven_convolutions([16, 32, 64, 64, 128, 256]), Classification()
        ),
        cross_entropy,
        lambda weights: torch.optim.Adadelta(weights, lr=1.0),
        lambda optimizer, steps: LambdaLR(optimizer, lambda step: 1.0),
        epochs=14,
        batch_size=64,
    ),
    "baseline_regression": Recipe(
        lambda: Network(
            seven_convolutions([32, 64, 128, 256, 512, 1024]), Regression()
        ),
        squared_error,
        lambda weights: torch.optim.SGD(weights, lr=0.01, momentum=0.9),
        warmed_up,
        epochs=19,
        batch_size=64,
    ),
    "train_mnist_fast": Recipe(
        lambda: Network(small()),
        cross_entropy,
        lambda weights: torch.optim.Adam(weights, lr=1e-2, betas=(0.7, 0.9)),
        lambda optimizer, steps: OneCycleLR(
            optimizer, 1e-2, steps, cycle_momentum=False
        ),
        epochs=1,
        batch_size=256,
    ),
}


def train(
    name: str, data: dict[str, np.ndarray], path: Path, seed: int, turns: Turns
) -> None:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.set_flush_denormal(True)  # As TensorFlow does: they are slow.
    torch.manual_seed(seed)
    recipe = RECIPES[name]
    network = recipe.network()
    images = standardised(data["x_train"])
    labels = torch.from_numpy(data["y_train"].astype("int64"))
    epochs = 1 if turns.smoke else recipe.epochs
    steps = epochs * -(-len(images) // recipe.batch_size)
    optimizer = recipe.optimizer(network.parameters())
    schedule = recipe.schedule(optimizer, steps)
    turns.begin(
        steps,
        lambda: pair_predictor(network),
        parameters=sum(x.numel() for x in network.parameters()),
        precision="float32",
        epochs=epochs,
        images_in_an_epoch=len(images),
    )
    seen = step = 0
    for _ in range(epochs):
        for index in torch.randperm(len(images)).split(recipe.batch_size):
            digit = labels[index]
            number = torch.randint(10, digit.shape)
            targets = {"digit": digit, "sum": digit + number}
            targets["difference"] = (digit - number).abs()
            optimizer.zero_grad()
            recipe.loss(network(images[index], number), targets).backward()
            optimizer.step()
            schedule.step()
            seen, step = seen + len(index), step + 1
            turns.step(step, seen)


def standardised(images: np.ndarray) -> Tensor:
    """`(batch, 1, 28, 28)`, with the mean and deviation of MNIST's pixels."""
    scaled = torch.from_numpy(images[:, None]).float() / 255
    return (scaled - 0.1307) / 0.3081


def pair_predictor(network: Network) -> PairPredictor:
    def answer(images: np.ndarray) -> dict[str, np.ndarray]:
        with torch.no_grad():  # No layer is another one in training.
            outputs = network.answer(standardised(images))
        return {name: x.numpy() for name, x in outputs.items()}

    return answer
