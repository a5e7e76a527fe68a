"""What each choice of a training run means: two sentences and a small plot, where the choice stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st

from frontend.explain import plots
from frontend.explain.shapes import Spec

WIDTH_PX = 320
COMPUTED = "Computed from the formula."
TOY = "Computed on a toy problem, not on digits."
DRAWN = "An illustration, not a measurement."


@dataclass(frozen=True)
class Explanation:
    """`text` is two sentences, `origin` tells what the plot is, `alt` describes it in words."""

    title: str
    text: str
    plot: Callable[[], Spec]
    origin: str
    alt: str


EXPLANATIONS: Mapping[str, Explanation] = {
    "normalisation": Explanation(
        "Pixels divided by 255",
        "A pixel is stored as a whole number from 0 to 255; divided by 255 it lies between 0 and 1. "
        "Inputs that large would make the first steps huge, and the network would jump past every good "
        "answer.",
        plots.normalisation,
        TOY,
        "The loss falls steadily with inputs of 0 to 1 and jumps about with inputs of 0 to 255.",
    ),
    "architecture": Explanation(
        "Network",
        "In an MLP every hidden unit looks at all pixels at once; in a CNN it looks through a small "
        "window that slides over the image, so a stroke is found wherever it stands. The CNN makes far "
        "fewer mistakes and needs more time for each image.",
        plots.architecture,
        "An illustration: the pixels that one unit of the first layer looks at.",
        "Two grids of pixels: the MLP's unit sees all of them, the CNN's a window of three by three.",
    ),
    "activation": Explanation(
        "Activation",
        "A hidden unit adds up its inputs and passes the sum through this function; without one, many "
        "layers could do no more than a single one. relu lets everything above zero through and learns "
        "fast; sigmoid squeezes it between 0 and 1, and goes flat at both ends, where learning slows "
        "down.",
        plots.activation,
        COMPUTED,
        "relu is zero up to zero and then rises in a straight line; sigmoid rises in an S from 0 to 1.",
    ),
    "softmax": Explanation(
        "Output: softmax",
        "The last layer gives one sum for each digit; softmax turns the ten sums into probabilities that "
        "add up to 100 %. Each sum is raised to a power of e first, so a small lead becomes a clear "
        "answer.",
        plots.softmax,
        "Computed from the formula, for ten made-up sums.",
        "Ten bars: the largest sum, 4.2 for the digit 9, gets 64 % of the probability.",
    ),
    "cross_entropy": Explanation(
        "Loss: cross-entropy",
        "The loss of an image is −ln of the probability that the network gave to its true digit: nothing "
        "for 100 %, 0.7 for 50 %, 4.6 for 1 %. Being sure and wrong costs most, and training makes the "
        "mean over all images small.",
        plots.cross_entropy,
        COMPUTED,
        "The loss is 4.6 at a probability of 1 % and falls to 0 at 100 %.",
    ),
    "optimizer": Explanation(
        "Optimizer",
        "The optimizer turns the slope of the loss into a step of every weight. SGD goes straight down "
        "the slope and swings across narrow valleys; AdaGrad makes steps smaller where it has moved much; "
        "Adam adds momentum and a step size for each weight, and mostly arrives first.",
        plots.optimizers,
        TOY + " Thirty steps down a narrow bowl.",
        "Three paths into a narrow bowl: SGD swings from side to side, AdaGrad and Adam curve towards the "
        "middle.",
    ),
    "learning_rate": Explanation(
        "Learning rate",
        "How far each step goes. Too small, and the run ends before it has learned; too large, and each "
        "step leaps over the valley and ends higher than it began.",
        plots.learning_rate,
        TOY,
        "The loss falls slowly with a small rate, quickly with a fitting one and grows with one that is "
        "too large.",
    ),
    "epochs": Explanation(
        "Epochs",
        "One epoch shows every training image to the network once. At first each pass helps; later the "
        "network learns its images by heart and gets no better, or worse, on others.",
        plots.epochs,
        DRAWN,
        "The loss on learned images keeps falling; on images kept aside it falls and then slowly rises "
        "again.",
    ),
    "batch_size": Explanation(
        "Batch size",
        "So many images are looked at before each step. Small batches step often and wander; large ones "
        "step calmly, use the processor better, and may need a larger learning rate.",
        plots.batch_size,
        TOY,
        "With 64 points a step the loss falls in a smooth line, with 2 points it wanders.",
    ),
    "augmentation": Explanation(
        "Augmentation",
        "Each image is turned, sheared, scaled, shifted and thickened a little, anew in each epoch, so "
        "that the network never sees exactly the same one twice. It then reads handwriting better that is "
        "unlike the training images, and needs more epochs.",
        plots.augmentation,
        DRAWN,
        "A drawn seven, then turned, sheared, smaller and thicker.",
    ),
    "seed": Explanation(
        "Seed",
        "Everything random in a run, from the first weights to the order of the images, follows from this "
        "number. The same seed gives the same result again; other seeds show how much of a difference is "
        "luck.",
        plots.seed,
        TOY,
        "Three runs from three seeds begin at different losses and end close together.",
    ),
}


def explain(name: str) -> None:
    """Put a quiet label on the page that opens the explanation."""
    explanation = EXPLANATIONS[name]
    with (
        st.popover(f"{explanation.title} :material/info:", type="tertiary", key=f"explain_{name}"),
        st.container(width=WIDTH_PX),
    ):
        st.markdown(explanation.text)
        st.vega_lite_chart(spec=explanation.plot(), width="stretch", key=f"plot_{name}", alt=explanation.alt)
        st.caption(explanation.origin)
