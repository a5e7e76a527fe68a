"""The typed client: what it returns, and how it tells that there is nothing to return."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from digits.client import Client
from digits.client.choices import Dataset, EvaluationState, Interpolation, Preprocessing, TrainingState
from digits.client.errors import Refused, ServerUnavailable
from digits.client.records import Answer


@pytest.fixture
def client(live_server: Any) -> Iterator[Client]:
    """A client of the server that all tests share."""
    with Client(live_server.address) as client:
        yield client


def test_a_drawn_seven_is_read_as_seven(client: Client, seven_png: bytes) -> None:
    answer = client.predict(seven_png)

    assert answer.prediction.digit == 7
    assert answer.prediction.confidence == max(answer.prediction.probabilities)
    assert sum(answer.prediction.probabilities) == pytest.approx(1, abs=1e-3)
    assert answer.prediction.model_input.shape == (28, 28)
    assert answer.model_version >= 1
    assert answer.timings.total_ms > 0


def test_preparation_changes_what_the_model_sees(client: Client, seven_png: bytes) -> None:
    normalised = client.predict(seven_png, preprocessing=Preprocessing.NORMALISE)
    resized = client.predict(
        seven_png, preprocessing=Preprocessing.RESIZE, interpolation=Interpolation.NEAREST
    )

    assert (normalised.prediction.model_input != resized.prediction.model_input).any()


def test_what_the_model_saw_can_be_sent_again_as_pixels(client: Client, seven_png: bytes) -> None:
    seen = client.predict(seven_png).prediction.model_input

    again = client.predict_pixels(seen).prediction

    assert again.digit == 7
    assert (again.model_input == seen).all()


def test_a_batch_answers_in_its_order(client: Client, seven_png: bytes) -> None:
    batch = client.predict_batch([seven_png, seven_png])

    assert [prediction.digit for prediction in batch.predictions] == [7, 7]


def test_a_stream_answers_in_its_order_and_a_bad_image_does_not_end_it(
    client: Client, seven_png: bytes
) -> None:
    first, second, third = client.stream_predict([seven_png, b"no image", seven_png])

    assert isinstance(first, Answer)
    assert isinstance(third, Answer)
    assert (first.prediction.digit, third.prediction.digit) == (7, 7)
    assert isinstance(second, Refused)
    assert (second.code, second.reason) == ("INVALID_ARGUMENT", "INVALID_IMAGE")


def test_a_number_is_read_digit_by_digit_with_the_place_of_each(
    client: Client, two_sevens_png: bytes
) -> None:
    answer = client.read_number(two_sevens_png)

    assert answer.text == "77"
    assert [digit.prediction.digit for digit in answer.digits] == [7, 7]
    left, right = (digit.box for digit in answer.digits)
    assert abs(left.x - 100) < 16
    assert left.x + left.width < right.x
    assert {digit.line for digit in answer.digits} == {0}
    assert answer.model_version >= 1


def test_the_deployed_version_comes_with_provenance_and_evaluation(client: Client) -> None:
    model = client.get_model()
    listed = client.list_models()

    assert model.is_deployed
    assert model.model_version in [each.model_version for each in listed.models]
    assert model.provenance.data_source is not None
    assert model.create_time.tzinfo is not None
    assert model.evaluation is not None
    assert model.evaluation.state is EvaluationState.SUCCEEDED
    assert model.evaluation.confusion_matrix.sum() == model.evaluation.images
    assert model.evaluation.accuracy_low < model.evaluation.accuracy < model.evaluation.accuracy_high


def test_test_digits_are_images_with_the_label_asked_for(client: Client, test_set: Dataset) -> None:
    page = client.list_test_digits(test_set, label=3, page_size=5, seed=1)

    assert {digit.label for digit in page.digits} == {3}
    assert all(digit.pixels.shape == (28, 28) and digit.pixels.dtype == np.uint8 for digit in page.digits)
    assert page.total_size > len(page.digits) == 5
    assert page.next_page_token


@pytest.fixture
def test_set(client: Client) -> Dataset:
    """A data set that is on this machine: which one depends on the MNIST that the tests were given."""
    deadline = time.monotonic() + 60
    while not (available := [info for info in client.list_datasets().datasets if info.is_available]):
        assert time.monotonic() < deadline, "the digits do not get ready"
        time.sleep(0.05)
    return available[0].dataset


def test_recipes_come_with_defaults_and_ranges(client: Client) -> None:
    recipes = client.list_recipes()

    classic = next(recipe for recipe in recipes.recipes if recipe.name == "classic")
    assert classic.defaults.epochs == 10
    assert classic.defaults.batch_size == 32
    epochs = recipes.option_ranges["epochs"]
    assert epochs.min <= 10 <= epochs.max


def test_a_blank_image_is_refused_with_field_and_reason(client: Client) -> None:
    with pytest.raises(Refused) as refusal:
        client.predict_pixels(np.zeros((28, 28), np.uint8), preprocessing=Preprocessing.NORMALISE)

    assert refusal.value.reason == "BLANK_IMAGE"
    assert refusal.value.field.startswith("image")
    assert refusal.value.retry_after_s is None


def test_an_unknown_version_is_refused(client: Client, seven_png: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        client.predict(seven_png, model_version=999_999)

    assert refusal.value.reason == "MODEL_NOT_FOUND"
    assert "999999" in refusal.value.message


def test_without_a_server_every_call_says_so_at_once(dead_address: str) -> None:
    client = Client(dead_address)
    began = time.monotonic()

    with pytest.raises(ServerUnavailable) as away:
        client.list_models()

    assert away.value.address == dead_address
    assert not away.value.is_slow
    assert time.monotonic() - began < 2.5
    client.close()


def test_a_server_that_hangs_is_called_slow_within_the_deadline_and_a_lost_one_is_found_again(
    launch_server: Callable[..., Any],
) -> None:
    server = launch_server()
    client = Client(server.address)
    client.list_models()

    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(ServerUnavailable) as slow:
            client.list_datasets(timeout_s=0.3)
        assert slow.value.is_slow
    finally:
        os.kill(server.pid, signal.SIGCONT)
    client.list_models()

    server.kill()
    with pytest.raises(ServerUnavailable) as away:
        client.list_models()
    assert not away.value.is_slow

    server.start()
    deadline = time.monotonic() + 60
    while True:
        try:
            assert client.list_models().models
            break
        except ServerUnavailable:
            assert time.monotonic() < deadline, "the client does not find the server again"
            time.sleep(0.05)
    client.close()


def test_a_training_that_is_cancelled_ends_cancelled(launch_server: Callable[..., Any]) -> None:
    client = Client(launch_server().address)
    deadline = time.monotonic() + 60
    while client.list_datasets().data_progress:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    started = client.start_training("classic", request_id="page-test")
    assert client.start_training("classic", request_id="page-test").training_id == started.training_id
    client.cancel_training(started.training_id)

    last = list(client.watch_training(started.training_id, timeout_s=60))[-1]
    assert last.state is TrainingState.CANCELLED
    assert client.get_training(started.training_id).state is TrainingState.CANCELLED
    assert client.list_trainings().total_size == 1
    client.close()
