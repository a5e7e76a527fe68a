"""From an image to a digit: both forms of image, every refusal, and what happens when many ask at once."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio

from server.datasets import Data, Dataset
from server.errors import (
    BlankImage,
    DeadlineExceeded,
    InvalidArgument,
    InvalidImage,
    ModelNotFound,
    NothingDeployed,
    ShuttingDown,
)
from server.inference import Engine, Engines
from server.models import ModelStore
from server.prediction import EncodedImage, Predictor, RawPixels
from server.preprocessing import Interpolation, Preprocessing
from server.reading import NumberReader

Images = npt.NDArray[np.uint8]


@pytest.fixture
def versions(store: ModelStore, save: Callable[..., Any], regression: Any, beginner: Any) -> ModelStore:
    """Version 1 is the trained model; 2 to 6 are the beginner."""
    save(store, regression)
    for _ in range(5):
        save(store, beginner)
    return store


@pytest_asyncio.fixture
async def engines(versions: ModelStore) -> AsyncIterator[Engines]:
    engines = Engines(versions)
    engines.deploy(1)
    yield engines
    engines.close()


@pytest_asyncio.fixture
async def predictor(engines: Engines) -> AsyncIterator[Predictor]:
    predictor = Predictor(engines)
    yield predictor
    predictor.close()


@pytest.fixture(scope="session")
def images(builtin_data: Data) -> Images:
    return np.array(builtin_data.dataset(Dataset.BUILTIN_TEST).images)


@pytest.fixture(scope="session")
def seven(builtin_data: Data) -> Images:
    test = builtin_data.dataset(Dataset.BUILTIN_TEST)
    return np.array(test.images[np.flatnonzero(test.labels == 7)[0]])


def png(image: Images) -> EncodedImage:
    """As people draw: dark on light, on a canvas of 280x280."""
    large = cv2.resize(255 - image, (280, 280), interpolation=cv2.INTER_NEAREST)
    return EncodedImage(cv2.imencode(".png", large)[1].tobytes())


def raw(image: Images) -> RawPixels:
    return RawPixels(image.tobytes())


async def test_raw_pixels_reach_the_model_as_they_are(
    predictor: Predictor, versions: ModelStore, seven: Images
) -> None:
    result = await predictor.predict(raw(seven))

    np.testing.assert_array_equal(result.prediction.model_input, seven)
    expected = Engine(versions.artifact_path(1)).probabilities(seven[np.newaxis])[0]
    np.testing.assert_allclose(result.prediction.probabilities, expected, atol=1e-6)
    assert result.prediction.digit == 7
    assert result.prediction.confidence == pytest.approx(expected.max(), abs=1e-6)
    assert result.model_version == 1


async def test_a_drawing_is_placed_as_mnist_places_its_digits(predictor: Predictor, seven: Images) -> None:
    result = await predictor.predict(png(seven))
    assert result.prediction.digit == 7
    ink = np.argwhere(result.prediction.model_input)
    assert (ink.max(axis=0) - ink.min(axis=0) + 1).max() == 20


async def test_the_plain_resize_shows_the_difference(predictor: Predictor, seven: Images) -> None:
    # Off the place that MNIST gives it, so that there is a difference to show.
    stencil = np.roll(np.where(seven > 127, 255, 0).astype(np.uint8), (3, 3), axis=(0, 1))
    results = [
        await predictor.predict(png(stencil), Preprocessing.RESIZE, interpolation)
        for interpolation in Interpolation
    ]
    shown = dict(zip(Interpolation, (result.prediction.model_input for result in results), strict=True))
    # Nearest undoes the enlargement.
    np.testing.assert_array_equal(shown[Interpolation.NEAREST], stencil)
    placed = (await predictor.predict(png(stencil))).prediction.model_input
    assert all((image != placed).any() for image in shown.values())


async def test_raw_pixels_can_be_placed_too(predictor: Predictor, seven: Images) -> None:
    shifted = np.roll(seven, 3, axis=1)
    straight = await predictor.predict(raw(seven), Preprocessing.NORMALISE)
    moved = await predictor.predict(raw(shifted), Preprocessing.NORMALISE)
    np.testing.assert_array_equal(moved.prediction.model_input, straight.prediction.model_input)


async def test_another_version_answers_when_it_is_named(
    predictor: Predictor, versions: ModelStore, engines: Engines, seven: Images
) -> None:
    result = await predictor.predict(raw(seven), version=2)
    expected = Engine(versions.artifact_path(2)).probabilities(seven[np.newaxis])[0]
    np.testing.assert_allclose(result.prediction.probabilities, expected, atol=1e-6)
    assert (result.model_version, engines.deployed) == (2, 1)


async def test_a_reading_is_uncertain_by_the_threshold_of_the_version_that_answered(
    store: ModelStore, save: Callable[..., Any], beginner: Any, images: Images
) -> None:
    save(store, beginner, uncertain_below=0.5)
    save(store, beginner, uncertain_below=0.0)
    engines = Engines(store)
    engines.deploy(1)
    predictor = Predictor(engines)
    doubted = (await predictor.predict_batch([raw(image) for image in images[:200]])).predictions
    believed = (await predictor.predict_batch([raw(image) for image in images[:200]], version=2)).predictions

    assert [one.is_uncertain for one in doubted] == [one.confidence < 0.5 for one in doubted]
    assert len({one.is_uncertain for one in doubted}) == 2
    assert not any(one.is_uncertain for one in believed)
    alone = await predictor.predict(raw(images[0]))
    assert alone.prediction.is_uncertain == doubted[0].is_uncertain
    predictor.close()
    engines.close()


async def test_the_times_of_the_steps_are_told(predictor: Predictor, seven: Images) -> None:
    drawn = (await predictor.predict(png(seven))).timings
    assert drawn.decode_ms > 0
    assert drawn.preprocess_ms > 0
    assert drawn.engine_ms > 0
    parts = drawn.decode_ms + drawn.preprocess_ms + drawn.queue_ms + drawn.engine_ms
    assert parts <= drawn.total_ms

    assert (await predictor.predict(raw(seven))).timings.decode_ms == 0


@pytest.mark.parametrize("size", [0, 1, 783, 785, 28 * 28 * 3])
async def test_raw_pixels_of_another_size_are_refused_with_both_sizes(
    predictor: Predictor, size: int
) -> None:
    with pytest.raises(InvalidImage, match=rf"expected 784 bytes.*got {size}") as refusal:
        await predictor.predict(RawPixels(b"\1" * size))
    assert refusal.value.field == "image.pixels"


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
async def test_bytes_that_are_no_image_are_refused(predictor: Predictor, data: bytes) -> None:
    with pytest.raises(InvalidImage) as refusal:
        await predictor.predict(EncodedImage(data))
    assert refusal.value.field == "image.encoded"


@pytest.mark.parametrize("preprocessing", [None, Preprocessing.NORMALISE, Preprocessing.RESIZE])
async def test_an_image_without_ink_is_refused(
    predictor: Predictor, preprocessing: Preprocessing | None
) -> None:
    blank = np.zeros((28, 28), np.uint8)
    for image, field in ((png(blank), "image.encoded"), (raw(blank), "image.pixels")):
        with pytest.raises(BlankImage) as refusal:
            await predictor.predict(image, preprocessing)
        assert refusal.value.field == field


@pytest.mark.parametrize("read", ["one", "a batch", "a number"])
async def test_a_picture_that_is_refused_is_let_go_at_once(predictor: Predictor, read: str) -> None:
    # Not only when Python's collector comes by: large ones would pile up until then.
    blank = EncodedImage(cv2.imencode(".png", np.full((64, 64), 255, np.uint8))[1].tobytes())
    work = {
        "one": lambda: predictor.predict(blank),
        "a batch": lambda: predictor.predict_batch([blank] * 3),
        "a number": lambda: NumberReader(predictor).read(blank.data),
    }[read]
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)  # What it finds it keeps for us to look at.
    refused = 0
    try:
        # The last one may still be in hand, and `pytest.raises` holds on to an error as well.
        for _ in range(3):
            try:
                await work()
            except BlankImage:
                refused += 1
        gc.collect()
        assert refused == 3
        assert [one for one in gc.garbage if isinstance(one, BlankImage)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_an_encoded_image_cannot_be_the_models_input_as_it_is(
    predictor: Predictor, seven: Images
) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        await predictor.predict(png(seven), Preprocessing.NONE)
    assert refusal.value.field == "preprocessing"


async def test_an_unknown_version_is_refused_before_the_image_is_looked_at(predictor: Predictor) -> None:
    with pytest.raises(ModelNotFound):
        await predictor.predict(EncodedImage(b"no image"), version=99)
    with pytest.raises(ModelNotFound):
        await predictor.predict_batch([EncodedImage(b"no image")], version=99)


async def test_without_a_deployed_version_nothing_answers(versions: ModelStore, seven: Images) -> None:
    predictor = Predictor(Engines(versions))
    with pytest.raises(NothingDeployed):
        await predictor.predict(raw(seven))
    predictor.close()


async def test_a_batch_is_answered_in_its_order_by_one_version(
    predictor: Predictor, versions: ModelStore, images: Images
) -> None:
    chosen = images[:150]
    mixed = [raw(image) if index % 2 else png(image) for index, image in enumerate(chosen)]
    result = await predictor.predict_batch(mixed)

    assert result.model_version == 1
    assert len(result.predictions) == 150
    engine = Engine(versions.artifact_path(1))
    for index, prediction in enumerate(result.predictions):
        if index % 2:
            np.testing.assert_array_equal(prediction.model_input, chosen[index])
        expected = engine.probabilities(prediction.model_input[np.newaxis])[0]
        np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-5)
    alone = await predictor.predict(mixed[0])
    np.testing.assert_array_equal(result.predictions[0].model_input, alone.prediction.model_input)


async def test_a_large_batch_of_raw_pixels_comes_back_whole(predictor: Predictor, images: Images) -> None:
    result = await predictor.predict_batch([raw(image) for image in images])
    assert [prediction.model_input.tobytes() for prediction in result.predictions] == [
        image.tobytes() for image in images
    ]


@pytest.mark.parametrize("bad", [[3], [3, 40], [49]])
async def test_the_first_bad_image_of_a_batch_is_named(
    predictor: Predictor, images: Images, bad: list[int]
) -> None:
    encoded = [png(image) for image in images[:50]]
    for index in bad:
        encoded[index] = EncodedImage(b"no image")
    with pytest.raises(InvalidImage) as refusal:
        await predictor.predict_batch(encoded)
    assert refusal.value.field == f"images[{bad[0]}].encoded"

    pixels = [raw(image) for image in images[:50]]
    pixels[bad[0]] = RawPixels(b"")
    with pytest.raises(InvalidImage) as refusal:
        await predictor.predict_batch(pixels)
    assert refusal.value.field == f"images[{bad[0]}].pixels"


async def test_large_images_of_a_batch_are_all_answered_each_in_its_place(
    predictor: Predictor, images: Images
) -> None:
    def large(image: Images) -> EncodedImage:
        canvas = cv2.resize(255 - image, (1400, 1400), interpolation=cv2.INTER_NEAREST)
        return EncodedImage(cv2.imencode(".bmp", canvas)[1].tobytes())

    chosen = [large(image) for image in images[:24]]
    result = await predictor.predict_batch(chosen)
    alone = [(await predictor.predict(one)).prediction for one in chosen]
    assert len(result.predictions) == len(alone)
    for prediction, other in zip(result.predictions, alone, strict=True):
        np.testing.assert_array_equal(prediction.model_input, other.model_input)


async def test_a_batch_of_large_images_lets_others_come_in_between(
    predictor: Predictor, images: Images
) -> None:
    canvas = cv2.resize(255 - images[0], (4000, 4000), interpolation=cv2.INTER_NEAREST)
    large = EncodedImage(cv2.imencode(".png", canvas)[1].tobytes())
    batch = asyncio.create_task(predictor.predict_batch([large] * 200))
    await asyncio.sleep(0)
    for image in images[:5]:
        await predictor.predict(png(image))
    assert not batch.done()
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch


async def test_many_raw_images_that_are_placed_first_leave_the_event_loop_free(
    predictor: Predictor, images: Images
) -> None:
    many = [raw(image) for image in images] * 4
    batch = asyncio.create_task(predictor.predict_batch(many, Preprocessing.NORMALISE))
    turns = 0
    while not batch.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 2
    assert len((await batch).predictions) == len(many)


async def test_many_at_once_each_get_the_answer_to_their_own_image(
    predictor: Predictor, versions: ModelStore, images: Images
) -> None:
    results = await asyncio.gather(*(predictor.predict(raw(image)) for image in images))
    expected = Engine(versions.artifact_path(1)).probabilities(images)
    for image, row, result in zip(images, expected, results, strict=True):
        np.testing.assert_array_equal(result.prediction.model_input, image)
        np.testing.assert_allclose(result.prediction.probabilities, row, atol=1e-5)


async def test_more_versions_than_fit_in_memory_are_all_answered(
    predictor: Predictor, engines: Engines, images: Images
) -> None:
    results = await asyncio.gather(
        *(predictor.predict(raw(image), version=1 + index % 6) for index, image in enumerate(images[:60]))
    )
    assert [result.model_version for result in results] == [1 + index % 6 for index in range(60)]


async def test_a_cancelled_prediction_leaves_the_others_alone(predictor: Predictor, images: Images) -> None:
    tasks = [asyncio.create_task(predictor.predict(png(image))) for image in images[:40]]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert not any(isinstance(result, BaseException) for result in results[1::2])


async def test_the_event_loop_stays_free_while_images_are_decoded(
    predictor: Predictor, seven: Images
) -> None:
    canvas = cv2.resize(255 - seven, (4000, 4000), interpolation=cv2.INTER_CUBIC)
    large = EncodedImage(cv2.imencode(".png", canvas)[1].tobytes())
    prediction = asyncio.create_task(predictor.predict(large))
    turns = 0
    while not prediction.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 2
    assert (await prediction).prediction.digit == 7


async def test_after_the_end_predictions_are_refused(
    predictor: Predictor, engines: Engines, seven: Images
) -> None:
    engines.close()
    with pytest.raises(ShuttingDown):
        await predictor.predict(raw(seven))


async def test_what_nobody_waits_for_any_more_is_not_computed(predictor: Predictor, seven: Images) -> None:
    for image in (raw(seven), png(seven)):
        with pytest.raises(DeadlineExceeded):
            await predictor.predict(image, expires=time.monotonic())
    assert (await predictor.predict(raw(seven), expires=time.monotonic() + 60)).prediction.digit == 7


async def test_a_number_that_nobody_waits_for_any_more_is_not_computed(
    predictor: Predictor, seven: Images
) -> None:
    numbers, encoded = NumberReader(predictor), png(seven).data
    with pytest.raises(DeadlineExceeded):
        await numbers.read(encoded, expires=time.monotonic())
    assert (await numbers.read(encoded, expires=time.monotonic() + 60)).text == "7"
