"""The explanations of the training options."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from frontend.explain import DRAWN, EXPLANATIONS, plots, toys

OPTIONS = {
    "architecture",
    "activation",
    "optimizer",
    "learning_rate",
    "epochs",
    "batch_size",
    "augmentation",
    "seed",
}
FIXED_PARTS = {"normalisation", "softmax", "cross_entropy"}


def test_every_option_and_every_fixed_part_of_a_run_is_explained() -> None:
    assert set(EXPLANATIONS) == OPTIONS | FIXED_PARTS


@pytest.mark.parametrize("name", sorted(EXPLANATIONS))
def test_an_explanation_is_two_sentences_and_a_plot_that_says_what_it_is(name: str) -> None:
    explanation = EXPLANATIONS[name]

    assert len(re.findall(r"[.!?](?: |$)", explanation.text)) == 2
    assert explanation.origin.startswith(("Computed", "An illustration"))
    assert explanation.alt
    specification = json.dumps(explanation.plot())
    assert "values" in specification
    assert "NaN" not in specification
    assert "Infinity" not in specification


def test_what_is_not_computed_is_called_an_illustration() -> None:
    assert EXPLANATIONS["epochs"].origin == DRAWN


def test_the_words_about_softmax_and_cross_entropy_are_what_the_plots_show() -> None:
    shares = [row["share"] for row in plots.softmax()["data"]["values"]]
    assert sum(shares) == pytest.approx(1)
    assert max(shares) == pytest.approx(0.64, abs=0.005)
    assert "64 %" in EXPLANATIONS["softmax"].alt

    losses = {round(row["x"], 2): row["y"] for row in plots.cross_entropy()["data"]["values"]}
    assert [round(losses[share], 1) for share in (1.0, 0.5, 0.01)] == [0.0, 0.7, 4.6]


def test_inputs_up_to_255_make_the_loss_jump_where_inputs_up_to_1_let_it_fall() -> None:
    small, large = toys.losses_by_pixel_scale(1.0), toys.losses_by_pixel_scale(255.0)

    assert np.all(np.diff(small) < 0)
    assert max(large) > 10 * max(small)


def test_a_learning_rate_that_is_too_large_ends_higher_than_it_began() -> None:
    heights = {rate: toys.parabola_heights(rate) for rate in (0.03, 0.35, 1.05)}

    assert heights[1.05][-1] > heights[1.05][0]
    assert heights[0.35][-1] < heights[0.03][-1] < heights[0.03][0]


def test_sgd_swings_across_the_bowl_where_adagrad_does_not() -> None:
    def turns(path: toys.Floats) -> int:
        return int(np.count_nonzero(np.diff(np.sign(path[:10, 1]))))

    assert turns(toys.descend(toys.sgd())) > 5
    assert turns(toys.descend(toys.adagrad())) == 0


def test_adam_is_the_first_near_the_middle_of_the_bowl() -> None:
    def arrival(step: toys.Step) -> int:
        return int(np.argmax(np.hypot(*toys.descend(step).T) < 0.6))

    assert 0 < arrival(toys.adam()) < min(arrival(toys.sgd()), arrival(toys.adagrad()))


def test_small_batches_wander_more_than_large_ones() -> None:
    def climbs(losses: list[float]) -> int:
        return int(np.count_nonzero(np.diff(losses[10:]) > 0))

    assert climbs(toys.line_losses(2, seed=1)) > climbs(toys.line_losses(64, seed=1))
