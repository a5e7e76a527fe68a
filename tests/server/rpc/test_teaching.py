"""Learning from people's own samples, as a client has it done: corrected drawings in, a version out."""

from __future__ import annotations

from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from digits.v1 import gate_pb2, model_pb2, prediction_pb2, sample_pb2, sample_pb2_grpc
from digits.v1 import training_pb2 as pb

from server.datasets import Data, Partition

SAMPLES = 12


def teach(base_version: int = 0) -> pb.StartTrainingRequest:
    options = pb.TrainingOptions(epochs=1)
    return pb.StartTrainingRequest(
        recipe="teach", options=options, base_version=base_version, deploy_when_done=True
    )


@pytest.fixture(scope="module")
def server(launch_server: Any) -> Any:
    """A server of its own, for whose samples nobody else cares, on the built-in digits."""
    return launch_server(DIGITS_MNIST="")


@pytest.fixture(scope="module")
def stubs(server: Any, stubs_of: Any) -> Any:
    """Its services; whoever asks before the digits are prepared waits and asks again."""
    stubs = stubs_of(server)
    request = pb.ListRecipesRequest()
    while not stubs.training.ListRecipes(request, timeout=60).HasField("data_source"):
        continue
    return stubs


@pytest.fixture(scope="module")
def before(stubs: Any, refused: Any) -> list[Any]:
    """What is refused while there are no samples: on the deployed version, and on one that is not there."""
    return [refused(stubs.training.StartTraining, teach(base)) for base in (0, 99)]


@pytest.fixture(scope="module")
def taught(server: Any, stubs: Any, before: list[Any]) -> pb.Training:
    """The run that a dozen corrected drawings gave, at its end."""
    digits = Data.open(server.data / "datasets").partition(Partition.BUILTIN_TRAIN)
    samples = sample_pb2_grpc.SampleServiceStub(stubs.channel)
    for pixels, label in zip(digits.images[:SAMPLES], digits.labels[:SAMPLES], strict=True):
        drawing = cv2.resize(255 - pixels, (200, 200), interpolation=cv2.INTER_CUBIC)
        image = prediction_pb2.Image(encoded=cv2.imencode(".png", drawing)[1].tobytes())
        samples.AddSample(sample_pb2.AddSampleRequest(image=image, label=int(label)), timeout=60)
    started = stubs.training.StartTraining(teach(), timeout=60).training
    watching = pb.WatchTrainingRequest(training_id=started.training_id)
    training = started
    for reply in stubs.training.WatchTraining(watching, timeout=600):
        training = reply.training
    return training


def test_a_recipe_tells_that_it_uses_samples(stubs: Any) -> None:
    recipes = stubs.training.ListRecipes(pb.ListRecipesRequest(), timeout=60).recipes
    assert [recipe.name for recipe in recipes if recipe.uses_samples] == ["teach"]


def test_without_samples_or_the_base_nothing_is_started(before: list[Any]) -> None:
    without_samples, without_base = before
    assert (without_samples.code, without_samples.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "NO_SAMPLES",
    )
    assert (without_base.code, without_base.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


def test_a_base_is_refused_by_a_recipe_that_begins_anew(stubs: Any, refused: Any) -> None:
    refusal = refused(stubs.training.StartTraining, pb.StartTrainingRequest(recipe="classic", base_version=1))
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["base_version"])


def test_the_shipped_version_is_taught_by_a_dozen_drawings(stubs: Any, taught: pb.Training) -> None:
    assert taught.state == pb.TRAINING_STATE_SUCCEEDED, taught.failure_reason
    assert (taught.base_version, taught.samples) == (1, SAMPLES)
    model = stubs.model.GetModel(
        model_pb2.GetModelRequest(model_version=taught.model_version), timeout=60
    ).model
    assert (model.provenance.base_version, model.provenance.samples) == (1, SAMPLES)
    # What its base has learnt is named with what it was shown itself.
    assert set(model.provenance.training_partitions) == {"mnist_rest", "builtin_train"}
    assert model.provenance.validation_partitions == ["builtin_validation"]
    assert model.evaluation.accuracy > 0.98


def test_both_are_held_against_each_other_on_what_neither_has_learnt(taught: pb.Training) -> None:
    compared = {each.data: each.images for each in taught.gate.comparisons}
    assert compared == {gate_pb2.GATE_DATA_VALIDATION: 500, gate_pb2.GATE_DATA_SAMPLES: SAMPLES}


def test_each_drawing_counts_with_the_answer_of_a_network_that_had_not_seen_it(
    stubs: Any, taught: pb.Training
) -> None:
    samples = sample_pb2_grpc.SampleServiceStub(stubs.channel)
    request = sample_pb2.EvaluateSamplesRequest(model_versions=[taught.model_version])
    (accuracy,) = samples.EvaluateSamples(request, timeout=60).accuracies
    assert (accuracy.images, accuracy.cross_validated, accuracy.left_out) == (SAMPLES, SAMPLES, 0)
    assert np.isfinite(accuracy.accuracy)
