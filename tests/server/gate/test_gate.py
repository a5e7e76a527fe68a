"""The gate: what it lets through, what it holds back, and what it says then."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.datasets import Data, Dataset, Digits, Partition
from server.datasets.partitions import BUILTIN_PARTITIONS
from server.gate import Gate, GateComparison, GateData, GateReport
from server.gate.gate import common_validation, compare_samples, compare_validation
from server.inference import Engine
from server.models import ModelStore, ModelVersion
from server.samples import NewSample, Samples, SampleSource
from server.samples.sample import fingerprint

Save = Callable[..., ModelVersion]


def keep(samples: Samples, digits: Digits, count: int) -> None:
    """Let people have drawn the first digits of these."""
    for image, label in zip(digits.images[:count], digits.labels[:count], strict=True):
        samples.add(
            NewSample(
                label=int(label),
                drawing=b"a drawing",
                pixels=np.array(image),
                fingerprints=(fingerprint(np.array(image)),),
                predicted_digit=0,
                confidence=0.5,
                model_version=1,
                source=SampleSource.DRAWN,
            )
        )


def accuracy(store: ModelStore, version: int, digits: Digits) -> float:
    answers = Engine(store.artifact_path(version)).probabilities(np.array(digits.images))
    return float((answers.argmax(axis=1) == digits.labels).mean())


def test_where_nothing_serves_everything_passes(
    gate: Gate, store: ModelStore, save: Save, beginner: Any
) -> None:
    report = gate.judge(save(store, beginner), None)
    assert report == GateReport(passed=True, serving_version=None, comparisons=(), reasons=())


def test_a_better_version_passes_with_both_accuracies_on_the_same_digits(
    gate: Gate, store: ModelStore, save: Save, regression: Any, beginner: Any, builtin_data: Data
) -> None:
    save(store, beginner)
    report = gate.judge(save(store, regression), 1)

    assert (report.passed, report.serving_version, report.reasons) == (True, 1, ())
    (comparison,) = report.comparisons
    validation = builtin_data.partition(Partition.BUILTIN_VALIDATION)
    assert (comparison.data, comparison.images) == (GateData.VALIDATION, 500)
    assert comparison.accuracy == pytest.approx(accuracy(store, 2, validation))
    assert comparison.serving_accuracy == pytest.approx(accuracy(store, 1, validation))
    assert comparison.difference == pytest.approx(comparison.accuracy - comparison.serving_accuracy)
    assert 0 < comparison.difference_low < comparison.difference < comparison.difference_high


def test_a_worse_version_stays_a_candidate_with_the_figures(
    gate: Gate, store: ModelStore, save: Save, regression: Any, beginner: Any
) -> None:
    save(store, regression)
    report = gate.judge(save(store, beginner), 1)

    assert not report.passed
    (comparison,) = report.comparisons
    assert comparison.difference_high < 0
    (reason,) = report.reasons
    assert reason.startswith("It reads fewer of the 500 validation digits correctly than version 1")
    assert f"{comparison.accuracy:.2%} against {comparison.serving_accuracy:.2%}" in reason.replace(
        "\xa0", ""
    )
    assert "the 95\xa0% interval of the difference is −" in reason


def test_an_equal_version_passes(gate: Gate, store: ModelStore, save: Save, regression: Any) -> None:
    save(store, regression)
    report = gate.judge(save(store, regression), 1)
    assert report.passed
    assert report.comparisons[0].difference == 0


def test_what_chance_explains_is_no_reason_to_hold_back() -> None:
    right = np.ones(500, np.bool_)
    three_worse, many_worse = right.copy(), right.copy()
    three_worse[:3] = False
    many_worse[:20] = False
    assert compare_validation(three_worse, right).passed
    assert not compare_validation(many_worse, right).passed


def test_on_people_s_own_samples_every_single_one_counts() -> None:
    right = np.ones(50, np.bool_)
    one_worse, swapped = right.copy(), right.copy()
    one_worse[0] = False
    swapped[1] = False
    assert not compare_samples(one_worse, right).passed
    assert compare_samples(one_worse, swapped).passed
    assert compare_samples(right, one_worse).passed


def test_a_version_that_reads_people_s_samples_worse_stays_a_candidate(
    gate: Gate,
    samples: Samples,
    store: ModelStore,
    save: Save,
    regression: Any,
    beginner: Any,
    builtin_data: Data,
) -> None:
    # The candidate is the better one on digits that stand for all, but not on what these people drew.
    train = builtin_data.partition(Partition.BUILTIN_TRAIN)
    save(store, beginner)
    candidate = save(store, regression)
    images = np.array(train.images)
    read = {
        version: Engine(store.artifact_path(version)).probabilities(images).argmax(axis=1)
        for version in (1, 2)
    }
    lost = np.flatnonzero((read[1] == train.labels) & (read[2] != train.labels))
    drawn = np.concatenate([lost, np.flatnonzero((read[1] == train.labels) & (read[2] == train.labels))[:5]])
    keep(samples, train[drawn], len(drawn))

    report = gate.judge(candidate, 1)
    assert not report.passed
    validation, own = report.comparisons
    assert validation.passed
    assert (own.data, own.images, own.passed) == (GateData.SAMPLES, len(drawn), False)
    assert (own.serving_accuracy, own.accuracy) == (1.0, pytest.approx(5 / len(drawn)))
    assert report.reasons == (
        f"It reads fewer of the {len(drawn)} drawings in My digits correctly than version 1, which "
        f"answered then: 5 against {len(drawn)}.",
    )


def test_both_comparisons_are_made_and_every_reason_is_told(
    gate: Gate,
    samples: Samples,
    store: ModelStore,
    save: Save,
    regression: Any,
    beginner: Any,
    builtin_data: Data,
) -> None:
    save(store, regression)
    candidate = save(store, beginner)
    keep(samples, builtin_data.partition(Partition.BUILTIN_TRAIN), 60)
    report = gate.judge(candidate, 1)
    assert [comparison.data for comparison in report.comparisons] == list(GateData)
    assert len(report.reasons) == 2


def test_a_recipe_that_trains_on_everything_cannot_be_judged_and_stays_a_candidate(
    gate: Gate, store: ModelStore, save: Save, regression: Any
) -> None:
    save(store, regression)
    classic = save(
        store,
        regression,
        train_partitions=(Partition.BUILTIN_TRAIN, Partition.BUILTIN_VALIDATION),
        validation_partitions=(),
        validation_images=0,
        validation_accuracy=None,
    )
    report = gate.judge(classic, 1)
    assert not report.passed
    (comparison,) = report.comparisons
    assert (comparison.images, comparison.passed) == (0, False)
    (reason,) = report.reasons
    assert reason.startswith("The recipe classic trains on every digit there is and keeps none aside")


def test_a_version_that_has_learnt_the_validation_digits_is_no_measure_either(
    gate: Gate, store: ModelStore, save: Save, regression: Any
) -> None:
    save(store, regression, train_partitions=(Partition.BUILTIN_TRAIN, Partition.BUILTIN_VALIDATION))
    report = gate.judge(save(store, regression), 1)
    assert not report.passed
    assert report.comparisons[0].images == 0
    (reason,) = report.reasons
    assert reason.startswith("Version 1, which answered then, was trained or tested on the digits")


def full(version: ModelVersion) -> ModelVersion:
    """As if it had been trained on the full set."""
    return replace(
        version,
        train_partitions=(Partition.MNIST_REST,),
        validation_partitions=BUILTIN_PARTITIONS,
        test_dataset=Dataset.MNIST_TEST,
    )


def test_versions_of_the_full_set_are_compared_on_all_built_in_digits(
    store: ModelStore, save: Save, regression: Any
) -> None:
    version = full(save(store, regression))
    assert common_validation(version, version) == BUILTIN_PARTITIONS


def test_what_is_test_data_to_one_of_the_two_chooses_nothing(
    store: ModelStore, save: Save, regression: Any
) -> None:
    small = save(store, regression)
    both_ways = [common_validation(full(small), small), common_validation(small, full(small))]
    assert both_ways == [(Partition.BUILTIN_VALIDATION,)] * 2


def test_a_fault_holds_a_version_back_and_says_which(
    gate: Gate, store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    save(store, regression)
    candidate = save(store, regression)
    (tmp_path / "models" / "000001" / "model.onnx").write_bytes(b"damaged")
    report = gate.judge(candidate, 1)
    assert (report.passed, report.serving_version, report.comparisons) == (False, 1, ())
    (reason,) = report.reasons
    assert reason.startswith("It could not be compared with version 1: version 1: model.onnx")


def test_a_report_is_the_same_after_it_was_stored() -> None:
    comparison = GateComparison(GateData.SAMPLES, 20, 0.5, 0.55, -0.05, -0.2, 0.1, passed=False)
    report = GateReport(False, 3, (comparison,), ("a reason",))
    assert GateReport.from_json(json.loads(json.dumps(report.to_json()))) == report
