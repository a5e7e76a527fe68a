"""How the My digits page puts samples and their accuracy into words."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from digits.client.choices import SampleSource, SampleUse
from digits.client.records import Sample, SampleAccuracy

from frontend.my_digits import words
from frontend.wording import a_digit


def sample(use: SampleUse = SampleUse.TRAINING, label: int = 4) -> Sample:
    """A drawing that was read as a 9."""
    return Sample(
        sample_id="1",
        label=label,
        drawing=b"",
        pixels=np.zeros((28, 28), np.uint8),
        predicted_digit=9,
        confidence=0.612,
        model_version=2,
        create_time=datetime.now(UTC),
        update_time=None,
        source=SampleSource.DRAWN,
        use=use,
    )


def accuracy(images: int, cross_validated: int = 0, left_out: int = 0) -> SampleAccuracy:
    """The accuracy of a version that was measured so."""
    return SampleAccuracy(2, images, images, 1.0, 0.9, 1.0, cross_validated, left_out)


def test_a_sample_tells_what_was_read_and_how_sure_which_version_was() -> None:
    assert words.read(sample()) == "read as 9"
    assert words.read(sample(label=9)) == "read right"
    assert words.by(sample()) == "version 2, 61.2 %"


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (SampleUse.TRAINING, "versions are trained on it"),
        (SampleUse.HELD_OUT, "never trained on"),
        (SampleUse.EXCLUDED, "one of the digits that measure versions: never trained on"),
    ],
)
def test_its_facts_tell_what_it_is_used_for(use: SampleUse, said: str) -> None:
    assert said in words.facts(sample(use))


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (accuracy(30), "30 digits that it never saw"),
        (accuracy(1), "1 digit that it never saw"),
        (accuracy(30, 30), "30 digits, by cross-validation"),
        (accuracy(37, 30), "37 digits: 7 that it never saw, 30 by cross-validation"),
        (accuracy(7, 0, 5), "7 digits that it never saw; 5 left out, which it was trained on"),
        (
            accuracy(0, 0, 5),
            "No digit that it can honestly be measured on; 5 left out, which it was trained on",
        ),
    ],
)
def test_an_accuracy_tells_how_it_was_measured(measured: SampleAccuracy, said: str) -> None:
    assert words.measured(measured) == said


def test_the_article_fits_the_digit() -> None:
    assert [a_digit(digit) for digit in (7, 8)] == ["a 7", "an 8"]
