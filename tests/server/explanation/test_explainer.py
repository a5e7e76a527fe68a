"""Explaining a reading: the reading itself, the map of the digit asked for, and who is most like it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import server
from server.datasets import Data
from server.errors import BlankImage, DeadlineExceeded, ModelNotFound
from server.explanation import Explainer, Neighbours
from server.inference import Engines
from server.models import ModelStore
from server.prediction import Predictor, RawPixels

SHIPPED = Path(server.__file__).parent / "shipped"
PATIENCE_S = 60.0


@pytest.fixture
def predictor(store: ModelStore) -> Iterator[Predictor]:
    """The shipped version, deployed."""
    engines = Engines(store)
    engines.deploy(store.install_shipped(SHIPPED))
    predictor = Predictor(engines)
    yield predictor
    predictor.close()
    engines.close()


@pytest.fixture
def explainer(predictor: Predictor, neighbours: Neighbours) -> Explainer:
    return Explainer(predictor, neighbours)


@pytest.fixture(scope="module")
def seven(builtin_data: Data) -> RawPixels:
    test = builtin_data.split(use_all=False).test
    return RawPixels(test.images[np.flatnonzero(test.labels == 7)[0]].tobytes())


async def test_an_explanation_reads_as_predict_does(
    explainer: Explainer, predictor: Predictor, seven: RawPixels
) -> None:
    explained, read = await explainer.explain(seven), await predictor.predict(seven)
    assert explained.prediction.digit == read.prediction.digit == 7
    assert explained.prediction.probabilities.tolist() == read.prediction.probabilities.tolist()
    assert explained.model_version == read.model_version
    steps = explained.timings
    assert steps.total_ms >= steps.queue_ms + steps.engine_ms > 0


async def test_without_a_digit_it_is_the_one_that_is_read(explainer: Explainer, seven: RawPixels) -> None:
    by_default, asked_for = await explainer.explain(seven), await explainer.explain(seven, digit=7)
    assert by_default.digit == asked_for.digit == 7
    np.testing.assert_allclose(by_default.occlusion, asked_for.occlusion, atol=1e-5)


async def test_the_map_tells_what_covering_does_to_the_digit_asked_for(
    explainer: Explainer, predictor: Predictor, seven: RawPixels
) -> None:
    for digit in (7, 1):
        shown = await explainer.explain(seven, digit=digit)
        assert (shown.occlusion.shape, shown.digit) == ((28, 28), digit)
        # Cover the place that the map calls the most important one for, or against, the digit.
        row, column = np.unravel_index(np.abs(shown.occlusion).argmax(), (28, 28))
        half = shown.patch_size // 2
        image = np.frombuffer(seven.data, np.uint8).reshape(28, 28).copy()
        image[max(0, row - half) : row + half, max(0, column - half) : column + half] = 0
        without = await predictor.predict(RawPixels(image.tobytes()))
        fall = shown.prediction.probabilities[digit] - without.prediction.probabilities[digit]
        assert abs(fall) > 0.05
        assert np.sign(fall) == np.sign(shown.occlusion[row, column])


async def test_neighbours_come_as_soon_as_they_are_prepared(
    explainer: Explainer, seven: RawPixels, builtin_data: Data
) -> None:
    first = await explainer.explain(seven)
    assert first.neighbours == ()
    assert "ask again in a few seconds" in first.neighbours_missing
    deadline = time.monotonic() + PATIENCE_S
    while not (later := await explainer.explain(seven, neighbours=9)).neighbours:
        assert time.monotonic() < deadline, later.neighbours_missing
        await asyncio.sleep(0.05)
    assert later.neighbours_missing == ""
    assert [one.label for one in later.neighbours] == [7] * 9
    distances = [one.distance for one in later.neighbours]
    assert 0 < distances[0] <= distances[-1] < 0.5
    assert distances == sorted(distances)


async def test_without_training_digits_or_a_wish_for_them_it_says_why_there_are_none(
    predictor: Predictor, explainer: Explainer, seven: RawPixels, tmp_path: Path
) -> None:
    on_a_replica = await Explainer(predictor, neighbours=None).explain(seven)
    assert on_a_replica.neighbours == ()
    assert "a replica has no training digits" in on_a_replica.neighbours_missing
    assert on_a_replica.occlusion.max() > 0
    unasked = await explainer.explain(seven, neighbours=0)
    assert (unasked.neighbours, unasked.neighbours_missing) == ((), "none were asked for")
    # Nothing was prepared for it either.
    assert not (tmp_path / "features").exists()


async def test_any_version_can_be_explained_by_its_number(
    explainer: Explainer, store: ModelStore, save: Callable[..., Any], regression: Any, seven: RawPixels
) -> None:
    number = save(store, regression).version
    explained = await explainer.explain(seven, version=number)
    assert explained.model_version == number
    deployed = await explainer.explain(seven)
    assert np.abs(explained.occlusion - deployed.occlusion).max() > 0.01
    with pytest.raises(ModelNotFound):
        await explainer.explain(seven, version=99)


async def test_nothing_is_computed_for_a_caller_who_waits_no_longer(
    explainer: Explainer, seven: RawPixels
) -> None:
    with pytest.raises(DeadlineExceeded):
        await explainer.explain(seven, expires=time.monotonic())


async def test_a_blank_image_has_nothing_to_explain(explainer: Explainer) -> None:
    with pytest.raises(BlankImage):
        await explainer.explain(RawPixels(bytes(784)))
