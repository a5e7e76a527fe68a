"""Records are the messages of the contract under their own names: nothing left out, nothing mixed up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC
from enum import IntEnum
from typing import Any

import numpy as np
import pytest
from digits.client import choices, records
from digits.client.messages import comparison, dataset, evaluation, model, prediction, sample, sweep, training
from digits.v1 import (
    dataset_pb2,
    evaluation_pb2,
    gate_pb2,
    model_pb2,
    prediction_pb2,
    sample_pb2,
    sweep_pb2,
    training_pb2,
)

ANSWERS: list[tuple[type[Any], Callable[[Any], Any]]] = [
    (prediction_pb2.PredictResponse, prediction.answer),
    (prediction_pb2.BatchPredictResponse, prediction.batch_answer),
    (prediction_pb2.ReadNumberResponse, prediction.number_answer),
    (prediction_pb2.ExplainPredictionResponse, prediction.explanation),
    (training_pb2.Training, training.training),
    (training_pb2.ListTrainingsResponse, training.trainings),
    (training_pb2.ListRecipesResponse, training.recipes),
    (sweep_pb2.Sweep, sweep.sweep),
    (sweep_pb2.ListSweepsResponse, sweep.sweeps),
    (evaluation_pb2.ListDatasetsResponse, dataset.datasets),
    (evaluation_pb2.Evaluation, evaluation.evaluation),
    (evaluation_pb2.ListTestDigitsResponse, evaluation.test_digits),
    (evaluation_pb2.ListMisclassifiedResponse, evaluation.misclassified_digits),
    (evaluation_pb2.ListLikelyLabelErrorsResponse, evaluation.likely_label_errors),
    (evaluation_pb2.CompareModelsResponse, lambda message: comparison.comparison(message, 3)),
    (model_pb2.ListModelsResponse, model.models),
    (model_pb2.ListDeploymentsResponse, model.deployments),
    (sample_pb2.ListSamplesResponse, sample.samples),
    (sample_pb2.AddSampleResponse, sample.added_sample),
    (sample_pb2.ImportSamplesResponse, sample.imported_samples),
]
# One page holds all of them.
LEFT_OUT = {("ListRecipesResponse", "next_page_token"), ("ListDatasetsResponse", "next_page_token")}


@pytest.mark.parametrize(("message_type", "convert"), ANSWERS, ids=[each[0].__name__ for each in ANSWERS])
def test_a_record_has_every_field_of_its_message(
    message_type: type[Any], convert: Callable[[Any], Any], fill: Callable[[Any], Any]
) -> None:
    message = fill(message_type())

    assert_same(convert(message), message)


def assert_same(value: Any, message: Any) -> None:
    """Whether a record says what its message says."""
    if hasattr(message, "ToDatetime"):
        assert value == message.ToDatetime(tzinfo=UTC)
    elif isinstance(value, np.ndarray):
        expected = list(message)
        assert value.ravel().tolist() == pytest.approx(expected)
    elif isinstance(value, tuple):
        assert len(value) == len(message) > 0
        for one, other in zip(value, message, strict=True):
            assert_same(one, other)
    elif hasattr(message, "DESCRIPTOR"):
        names = {field.name for field in message.DESCRIPTOR.fields}
        missing = {name for name in names if not hasattr(value, name)}
        assert {(message.DESCRIPTOR.name, name) for name in missing} <= LEFT_OUT
        for field in fields(value):
            if field.name in names:
                assert_same(getattr(value, field.name), getattr(message, field.name))
    elif isinstance(value, Mapping) and not hasattr(message, "items"):
        assert_same(tuple(value.values()), message)
    elif isinstance(value, float):
        assert value == pytest.approx(message)
    else:
        assert value == (dict(message) if isinstance(value, Mapping) else message)


ENUMS = {
    enum.name: enum
    for file in (
        dataset_pb2,
        evaluation_pb2,
        gate_pb2,
        model_pb2,
        prediction_pb2,
        sample_pb2,
        sweep_pb2,
        training_pb2,
    )
    for enum in file.DESCRIPTOR.enum_types_by_name.values()
}


@pytest.mark.parametrize("name", ENUMS)
def test_a_choice_has_the_names_and_numbers_of_its_enum(name: str) -> None:
    choice: type[IntEnum] = getattr(choices, name)
    prefix = "".join(f"_{letter}" if letter.isupper() else letter for letter in name)[1:].upper() + "_"

    assert {f"{prefix}{member.name}": int(member) for member in choice} == {
        value.name: value.number for value in ENUMS[name].values
    }


def test_a_choice_of_a_newer_server_reads_as_unspecified() -> None:
    assert choices.TrainingState(99) is choices.TrainingState.UNSPECIFIED


def test_a_run_without_a_gate_and_a_digit_without_a_mark_say_none() -> None:
    assert training.training(training_pb2.Training()).gate is None
    assert evaluation.evaluation(evaluation_pb2.Evaluation()).accuracy_without_mislabelled is None
    digit = evaluation_pb2.LikelyLabelError(pixels=bytes(784))
    assert evaluation.likely_label_error(digit).correct_label is None


def test_a_trial_before_its_first_epoch_and_a_sweep_without_a_best_one_say_none() -> None:
    assert sweep.trial(sweep_pb2.Trial(number=1)).validation_accuracy is None
    young = sweep.sweep(sweep_pb2.Sweep(trials=[sweep_pb2.Trial(number=1)]))
    assert (young.best, young.gate, young.end_time) == (None, None, None)


def test_only_the_end_that_a_range_has_is_sent() -> None:
    tried = records.SweepRange("batch_size", min=8)

    assert sweep.to_sweep_range(tried) == sweep_pb2.SweepRange(option="batch_size", min=8)
    assert sweep.sweep_range(sweep.to_sweep_range(tried)) == tried


def test_only_what_a_filter_names_is_sent() -> None:
    message = sample.to_sample_filter(records.SampleFilter(label=0, is_misread=False))

    assert message == sample_pb2.SampleFilter(label=0, is_misread=False)
    assert sample.to_sample_filter(None) is None
