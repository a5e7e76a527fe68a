"""The toy problems that the explanations plot: small enough to be worked out while the page loads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Step = Callable[[Floats, int], Floats]
"""A rule that turns a gradient (2,) and the step's number, from 1, into the step to take (2,)."""

BOWL_START = np.array([-3.8, 1.05])
BOWL_STEPS = 30
BOWL_SLOPES = np.array([0.12, 2.9])


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), cut off where a float would overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))))


def losses_by_pixel_scale(scale: float, steps: int = 25) -> list[float]:
    """The loss of one sigmoid unit, step by step, with inputs of 0 to `scale`."""
    rng = np.random.default_rng(3)
    inputs = rng.uniform(0, 1, (60, 2))
    labels = (inputs.sum(axis=1) > 1).astype(float)
    features = np.c_[inputs * scale, np.ones(60)]
    weights = np.zeros(3)
    losses = []
    for _ in range(steps):
        chance = sigmoid(features @ weights)
        right = np.clip(np.where(labels == 1, chance, 1 - chance), 1e-6, 1)
        losses.append(float(-np.log(right).mean()))
        weights -= 4.0 * features.T @ (chance - labels) / 60
    return losses


def parabola_heights(rate: float, steps: int = 10) -> list[float]:
    """The height on y = x², from x = 1, over steps of plain descent."""
    return [float((1 - 2 * rate) ** (2 * step)) for step in range(steps + 1)]


def line_losses(batch_size: int, seed: int, steps: int = 40) -> list[float]:
    """The mean squared error of a line that is fitted to 200 noisy points, `batch_size` of them a step."""
    rng = np.random.default_rng(seed)
    xs = rng.uniform(-1, 1, 200)
    ys = 1.5 * xs - 0.5 + rng.normal(0, 0.35, 200)
    slope, height = rng.normal(0, 0.6, 2)
    losses = []
    for _ in range(steps):
        losses.append(float(np.mean((slope * xs + height - ys) ** 2)))
        chosen = rng.integers(0, 200, batch_size)
        off = slope * xs[chosen] + height - ys[chosen]
        slope -= 0.3 * float(np.mean(off * xs[chosen]))
        height -= 0.3 * float(np.mean(off))
    return losses


def descend(step: Step) -> Floats:
    """The way down a narrow bowl, from BOWL_START: (BOWL_STEPS + 1, 2)."""
    path = [BOWL_START]
    for number in range(1, BOWL_STEPS + 1):
        path.append(path[-1] - step(path[-1] * BOWL_SLOPES, number))
    return np.array(path)


def sgd(rate: float = 0.6) -> Step:
    """Plain gradient descent."""
    return lambda gradient, _: rate * gradient


def adagrad(rate: float = 0.5) -> Step:
    """AdaGrad: Duchi, Hazan, Singer, 2011."""
    total = np.zeros(2)

    def step(gradient: Floats, _: int) -> Floats:
        nonlocal total
        total = total + gradient**2
        return np.asarray(rate * gradient / np.sqrt(total + 1e-8))

    return step


def adam(rate: float = 0.2) -> Step:
    """Adam: Kingma, Ba, 2015."""
    mean, square = np.zeros(2), np.zeros(2)

    def step(gradient: Floats, number: int) -> Floats:
        nonlocal mean, square
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        return np.asarray(rate * (mean / (1 - 0.9**number)) / (np.sqrt(square / (1 - 0.999**number)) + 1e-8))

    return step
