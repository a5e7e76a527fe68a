"""Recipes and the options of a run."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from server.errors import InvalidOption
from server.recipes import (
    LEARNING_RATES,
    RANGES,
    RECIPES,
    Activation,
    Architecture,
    Augmentation,
    Optimizer,
    Schedule,
    TrainingOptions,
    resolve,
)


def test_the_classic_recipe_is_the_script_to_the_letter() -> None:
    recipe = RECIPES["classic"]
    assert recipe.uses_all_data
    assert recipe.schedule is Schedule.CONSTANT
    options = dataclasses.asdict(resolve("classic", {}))
    options.pop("seed")  # The script had none.
    assert options == {
        "architecture": "mlp",
        "activation": "relu",
        "optimizer": "adam",
        "learning_rate": 0.001,
        "epochs": 10,
        "batch_size": 32,
        "augmentation": "none",
    }


def test_the_fast_classic_is_the_same_network_and_keeps_digits_aside() -> None:
    fast, classic = resolve("classic-fast", {}), resolve("classic", {})
    chosen = ("architecture", "activation", "optimizer", "augmentation")
    assert [getattr(fast, name) for name in chosen] == [getattr(classic, name) for name in chosen]
    assert not RECIPES["classic-fast"].uses_all_data


def test_the_best_cnn_is_the_same_network_with_more_epochs_and_smaller_steps() -> None:
    quick, best = resolve("cnn", {}), resolve("cnn-best", {})
    assert best.epochs > quick.epochs
    assert best.learning_rate < quick.learning_rate
    assert dataclasses.replace(quick, epochs=best.epochs, learning_rate=best.learning_rate) == best


def test_the_cnn_recipe_keeps_digits_aside_to_choose_its_best_epoch() -> None:
    assert not RECIPES["cnn"].uses_all_data
    assert resolve("cnn", {}).augmentation is Augmentation.STANDARD


def test_what_is_not_chosen_is_the_recipes_default() -> None:
    options = resolve("classic", {"epochs": 3})
    assert options == dataclasses.replace(RECIPES["classic"].defaults, epochs=3)


def test_every_choice_works_with_every_recipe() -> None:
    chosen = {
        "architecture": "cnn",
        "activation": Activation.SIGMOID,
        "optimizer": "adagrad",
        "learning_rate": 0.05,
        "epochs": 2,
        "batch_size": 64,
        "augmentation": "standard",
        "seed": 7,
    }
    expected = TrainingOptions(
        Architecture.CNN, Activation.SIGMOID, Optimizer.ADAGRAD, 0.05, 2, 64, Augmentation.STANDARD, 7
    )
    for recipe in RECIPES:
        assert resolve(recipe, chosen) == expected


@pytest.mark.parametrize("optimizer", [Optimizer.SGD, Optimizer.ADAGRAD])
def test_an_optimizer_chosen_without_a_learning_rate_brings_the_one_that_suits_it(
    optimizer: Optimizer,
) -> None:
    assert resolve("classic", {"optimizer": optimizer}).learning_rate == LEARNING_RATES[optimizer]
    assert resolve("classic", {"optimizer": optimizer, "learning_rate": 0.5}).learning_rate == 0.5


def test_both_ends_of_every_range_are_allowed() -> None:
    for name, limits in RANGES.items():
        assert getattr(resolve("classic", {name: limits.min}), name) == limits.min
        assert getattr(resolve("classic", {name: limits.max}), name) == limits.max


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("learning_rate", 0.0, "a number from 1e-05 to 1, got 0.0"),
        ("learning_rate", 1.01, "got 1.01"),
        ("learning_rate", math.nan, "got nan"),
        ("learning_rate", math.inf, "got inf"),
        ("learning_rate", -math.inf, "got -inf"),
        ("learning_rate", "0.1", "got '0.1'"),
        ("epochs", 0, "a whole number from 1 to 200, got 0"),
        ("epochs", 201, "got 201"),
        ("epochs", 2.5, "got 2.5"),
        ("epochs", True, "got True"),
        ("epochs", math.nan, "got nan"),
        ("batch_size", 7, "a whole number from 8 to 2048, got 7"),
        ("batch_size", 2049, "got 2049"),
        ("seed", -1, "a whole number from 0 to 2147483647, got -1"),
        ("seed", None, "got None"),
        ("architecture", "rnn", "cnn, mlp, got 'rnn'"),
        ("activation", "tanh", "relu, sigmoid, got 'tanh'"),
        ("optimizer", 3, "adagrad, adam, sgd, got 3"),
        ("augmentation", "", "none, standard, got ''"),
        ("momentum", 0.9, "there is no such option"),
    ],
)
def test_an_impossible_option_is_refused_by_name_with_what_was_expected_and_what_came(
    name: str, value: object, told: str
) -> None:
    for recipe in RECIPES:
        with pytest.raises(InvalidOption) as refusal:
            resolve(recipe, {name: value})
        assert refusal.value.field == f"options.{name}"
        assert told in refusal.value.description


def test_an_unknown_recipe_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(InvalidOption) as refusal:
        resolve("lenet", {})
    assert refusal.value.field == "recipe"
    known = "classic, classic-fast, cnn, cnn-best, teach"
    assert refusal.value.description == f"expected one of {known}, got 'lenet'"


def test_options_survive_json() -> None:
    for recipe in RECIPES.values():
        values = json.loads(json.dumps(recipe.defaults.to_json()))
        assert TrainingOptions.from_json(values) == recipe.defaults


def test_options_out_of_json_are_complete_or_refused() -> None:
    values = RECIPES["cnn"].defaults.to_json()
    del values["seed"]
    with pytest.raises(InvalidOption, match="missing: seed"):
        TrainingOptions.from_json(values)


def test_a_run_that_goes_on_from_a_version_keeps_its_network() -> None:
    base = resolve("classic", {"activation": "sigmoid"}).to_json()
    options = resolve("teach", {}, base)
    assert (options.architecture, options.activation) == (Architecture.MLP, Activation.SIGMOID)
    assert options.learning_rate == RECIPES["teach"].defaults.learning_rate
    assert resolve("teach", {"architecture": "mlp"}, base) == options
    with pytest.raises(InvalidOption, match=r"options\.activation: expected sigmoid"):
        resolve("teach", {"activation": "relu"}, base)
