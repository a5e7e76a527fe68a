"""Recipes: tried ways of training, and the choices that a run may change, each with its allowed range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from server.errors import InvalidOption


class Architecture(StrEnum):
    """The shape of the network: one hidden layer of 512 units, or a small convolutional network."""

    MLP = "mlp"
    CNN = "cnn"


class Activation(StrEnum):
    """The function of the hidden units."""

    RELU = "relu"
    SIGMOID = "sigmoid"


class Optimizer(StrEnum):
    """How gradients become steps."""

    ADAM = "adam"
    SGD = "sgd"
    ADAGRAD = "adagrad"


class Augmentation(StrEnum):
    """What is done anew to each training image in each epoch; `standard` is `server.augmentation`."""

    NONE = "none"
    STANDARD = "standard"


class Schedule(StrEnum):
    """The learning rate over a run: `constant`, or a short warm-up and then half a `cosine` down to 0."""

    CONSTANT = "constant"
    COSINE = "cosine"


@dataclass(frozen=True)
class Range:
    """The allowed values of a numeric option, both ends included."""

    min: float
    max: float


RANGES: Mapping[str, Range] = MappingProxyType(
    {
        "learning_rate": Range(1e-5, 1.0),
        "epochs": Range(1, 200),
        "batch_size": Range(8, 2048),
        "seed": Range(0, 2**31 - 1),
    }
)


@dataclass(frozen=True)
class TrainingOptions:
    """Every choice of a run. `learning_rate` is the highest one where the recipe has a schedule."""

    architecture: Architecture
    activation: Activation
    optimizer: Optimizer
    learning_rate: float
    epochs: int
    batch_size: int
    augmentation: Augmentation
    seed: int

    def to_json(self) -> dict[str, str | int | float]:
        """Plain values by name; `from_json` reads them back."""
        return {
            name: str(value) if isinstance(value, StrEnum) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> TrainingOptions:
        """The options that `to_json` gave. Raises InvalidOption for a missing, unknown or impossible one."""
        names = {field.name for field in fields(cls)}
        if missing := names - set(values):
            raise InvalidOption("options", f"expected all of {_listed(names)}; missing: {_listed(missing)}")
        # Every value is overridden, so the recipe that the defaults come from does not matter.
        return _override(RECIPES["classic"].defaults, values)


@dataclass(frozen=True)
class Recipe:
    """A tried way of training, with its defaults."""

    name: str
    title: str
    description: str
    defaults: TrainingOptions
    uses_all_data: bool
    """Train on all of MNIST's training images and validate on nothing, as the classic script does."""
    schedule: Schedule
    learns_doubt: bool = False
    """Show it what is no digit too, and teach it to find all ten equally likely there."""
    uses_samples: bool = False
    """Go on from an existing version, with people's own samples among the training images. Architecture and
    activation are that version's."""


CLASSIC = Recipe(
    name="classic",
    title="Classic",
    description=(
        "The script that this grew from, to the letter: 512 hidden units, Adam, 10 epochs in batches of 32 "
        "over all 60,000 images. Expect 98\xa0% on MNIST; your own drawings are harder for it."
    ),
    defaults=TrainingOptions(
        architecture=Architecture.MLP,
        activation=Activation.RELU,
        optimizer=Optimizer.ADAM,
        learning_rate=0.001,
        epochs=10,
        batch_size=32,
        augmentation=Augmentation.NONE,
        seed=1,
    ),
    uses_all_data=True,
    schedule=Schedule.CONSTANT,
)

CLASSIC_FAST = Recipe(
    name="classic-fast",
    title="Classic, fast",
    description=(
        "The same network in a tenth of the time: batches of 250, a learning rate that rises high and then "
        "falls, and 5,000 images kept aside to choose the best epoch. Expect 98\xa0% on MNIST; your own "
        "drawings are harder for it."
    ),
    # Fewer and larger steps keep the processor busy; larger steps want a rate that starts and ends low, and
    # with ten times the usual rate in between three epochs do. 250 divides the 55,000 images: XLA compiles
    # one size of batch, not two.
    defaults=replace(CLASSIC.defaults, learning_rate=0.01, epochs=3, batch_size=250),
    uses_all_data=False,
    schedule=Schedule.COSINE,
)

CNN = Recipe(
    name="cnn",
    title="Convolutional network",
    description=(
        "A small network that looks at neighbouring pixels together, and sees every digit turned, slanted "
        "and written with another pen in each epoch. Expect 99.4\xa0% on MNIST in about a minute, and that "
        "it reads most of what you draw."
    ),
    defaults=TrainingOptions(
        architecture=Architecture.CNN,
        activation=Activation.RELU,
        optimizer=Optimizer.ADAM,
        learning_rate=0.005,
        epochs=3,
        batch_size=125,
        augmentation=Augmentation.STANDARD,
        seed=1,
    ),
    uses_all_data=False,
    schedule=Schedule.COSINE,
)

CNN_BEST = Recipe(
    name="cnn-best",
    title="Convolutional network, best",
    description=(
        "The same network with six times the patience: more epochs, each with new variations of every "
        "digit, and scribbles among them that teach it to doubt. Expect 99.5 to 99.6\xa0% on MNIST, and the "
        "best reading of what you draw."
    ),
    defaults=replace(CNN.defaults, learning_rate=0.002, epochs=20),
    uses_all_data=False,
    schedule=Schedule.COSINE,
    learns_doubt=True,
)

TEACH = Recipe(
    name="teach",
    title="Teach",
    description=(
        "Takes a version further with your own corrected drawings, and repeats MNIST's digits among them so "
        "that it forgets nothing. Under half a minute for up to 500 drawings; expect that most of what it "
        "read wrongly in your hand is right afterwards."
    ),
    # An epoch is some 1,300 pictures (see `server.trainer.feed`). What the numbers were chosen by is in
    # docs/teach.md.
    defaults=replace(CNN.defaults, learning_rate=0.001, epochs=4, batch_size=128),
    uses_all_data=False,
    schedule=Schedule.COSINE,
    uses_samples=True,
)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {recipe.name: recipe for recipe in (CLASSIC, CLASSIC_FAST, CNN, CNN_BEST, TEACH)}
)

# The options that a network is built by: a run that goes on from a version keeps them.
OF_THE_NETWORK = ("architecture", "activation")

# A rate that suits Adam makes plain gradient descent crawl: an optimizer that is chosen without a rate
# brings its own.
LEARNING_RATES: Mapping[Optimizer, float] = MappingProxyType(
    {Optimizer.ADAM: 0.001, Optimizer.SGD: 0.1, Optimizer.ADAGRAD: 0.02}
)


def resolve(
    recipe: str, overrides: Mapping[str, object], base: Mapping[str, object] | None = None
) -> TrainingOptions:
    """The options of a run: the recipe's defaults with `overrides`, by option name, in their place.

    `base`: the options of the version that the run goes on from, whose network it keeps.

    Choices are given as members of their enum or as their names, `epochs`, `batch_size` and `seed` as whole
    numbers. An optimizer that is changed without a learning rate takes the one that suits it
    (`LEARNING_RATES`). Raises InvalidOption, whose field is `recipe` or `options.<name>`.
    """
    defaults = find(recipe).defaults
    if base is not None:
        defaults = _override(defaults, {name: base[name] for name in OF_THE_NETWORK if name in base})
    options = _override(defaults, overrides)
    for name in OF_THE_NETWORK if base is not None else ():
        if (chosen := getattr(options, name)) is not (kept := getattr(defaults, name)):
            raise InvalidOption(
                f"options.{name}", f"expected {kept}, as the version it goes on from has it, got {chosen}"
            )
    if options.optimizer is not defaults.optimizer and "learning_rate" not in overrides:
        options = replace(options, learning_rate=LEARNING_RATES[options.optimizer])
    return options


def find(name: str) -> Recipe:
    """A recipe by its name. Raises InvalidOption, whose field is `recipe`."""
    if name not in RECIPES:
        raise InvalidOption("recipe", f"expected one of {_listed(RECIPES)}, got {name!r}")
    return RECIPES[name]


def _override(defaults: TrainingOptions, overrides: Mapping[str, object]) -> TrainingOptions:
    values: dict[str, Any] = {}
    for name, value in overrides.items():
        default = getattr(defaults, name, None)
        if isinstance(default, StrEnum):
            values[name] = _choice(name, type(default), value)
        elif isinstance(default, int | float):
            values[name] = _number(name, value, is_whole=isinstance(default, int))
        else:
            known = _listed(field.name for field in fields(TrainingOptions))
            raise InvalidOption(f"options.{name}", f"expected one of {known}; there is no such option")
    return replace(defaults, **values)


def _choice(name: str, choices: type[StrEnum], value: object) -> StrEnum:
    try:
        return choices(str(value))
    except ValueError:
        raise InvalidOption(f"options.{name}", f"expected one of {_listed(choices)}, got {value!r}") from None


def _number(name: str, value: object, is_whole: bool) -> int | float:
    limits = RANGES[name]
    # True is an int to Python, but nobody's number of epochs. NaN lies in no range.
    if isinstance(value, int | float) and not isinstance(value, bool) and limits.min <= value <= limits.max:
        if not is_whole:
            return float(value)
        if value == int(value):
            return int(value)
    kind = "a whole number" if is_whole else "a number"
    raise InvalidOption(
        f"options.{name}", f"expected {kind} from {limits.min:.10g} to {limits.max:.10g}, got {value!r}"
    )


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))
