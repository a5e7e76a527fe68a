"""How well the shipped model reads, through a live server: `make accuracy`.

    python tests/benchmarks/accuracy.py [--quick]

Everything is read as a client has it read, by the artifact that serves. DIGITS_MNIST or a download gives
MNIST's test set, DIGITS_PEN_STROKES the strokes of the six test writers; whatever is missing, its rows say
so. What teaching does for single writers is measured by `teach`, from a version that knows none of the 30.
Drawings are light on dark, 280x280 pixels; numbers are drawn as `number_strings` says, and what is no
digit as `non_digits` does. All of it is seeded. The results go into build/accuracy.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import non_digits
import number_strings
import numpy as np
import numpy.typing as npt
import teach
from digits.v1 import prediction_pb2
from live import ROOT, Server
from number_strings import Number
from reader import Reader
from results import Targets, save, table

from server import strokes
from server.calibration import expected_calibration_error
from server.datasets import Data, Digits, Partition
from server.datasets.pen_strokes import PenDigit, WriterGroup, of_group, read_pen_strokes
from server.errors import DigitsError
from server.metrics import wilson_interval

RESULTS = ROOT / "build" / "accuracy.json"
SEED = 2026

TARGETS: Targets = {
    "mnist_test_accuracy": (">=", 0.996),
    "pen_centred_accuracy": (">=", 0.99),
    "pen_anywhere_accuracy": (">=", 0.985),
    "non_digits_flagged": (">=", 0.5),
    "true_digits_kept": (">=", 0.99),
    "strings_apart_exact": (">=", 0.97),
    # "Touching" can be read in two ways: ink that overlaps, or columns of ink. See number_strings.
    "strings_touching_exact": (">=", 0.85),
    "strings_overlapping_exact": (">=", 0.85),
    "pen_strings_exact": (">=", 0.95),
    "parameters": ("<=", 1e6),
    "model_bytes": ("<=", 4e6),
    "engine_ms": ("<=", 0.3),
    "teach_error_reduction": (">=", 0.5),
    "teach_mnist_drop": ("<=", 0.001),
    "teach_s": ("<=", 30.0),
    "teach_writers": (">=", 10),
}
# Of these, what `measure_teaching` tells.
TEACHING = tuple(name for name in TARGETS if name.startswith("teach_"))
NEEDS_MNIST = "not measured: set DIGITS_MNIST"
NEEDS_PEN_STROKES = "not measured: set DIGITS_PEN_STROKES"


class Counts(NamedTuple):
    """How much to measure: at most so many digits of each kind, and so many of what is made here."""

    digits: int = 10_000
    non_digits: int = 1_000
    numbers: int = 500
    timed: int = 500


QUICK = Counts(digits=100, non_digits=50, numbers=10, timed=30)


class Report:
    """Results by name, in the order of the table, with what there is to say of each."""

    def __init__(self) -> None:
        self.results: dict[str, float | None] = {}
        self.notes: dict[str, str] = {}

    def tell(self, name: str, value: float, note: str = "") -> None:
        """A figure."""
        self.results[name], self.notes[name] = value, note

    def share(self, name: str, is_so: npt.NDArray[np.bool_], of: str) -> None:
        """The share of (N,) that is so, with its interval."""
        low, high = wilson_interval(int(is_so.sum()), len(is_so))
        self.tell(name, float(is_so.mean()), f"95 %: {low:.4f} to {high:.4f}, {len(is_so):,} {of}")

    def missing(self, why: str, *names: str) -> None:
        """Figures that could not be measured."""
        for name in names:
            self.results[name], self.notes[name] = None, why

    @property
    def measured(self) -> dict[str, float]:
        """What there is."""
        return {name: value for name, value in self.results.items() if value is not None}


def measure(reader: Reader, mnist: Digits | None, pen: Sequence[PenDigit] | None, counts: Counts) -> Report:
    """Everything that the data at hand allow: MNIST's test digits, and the digits of unseen writers."""
    report = Report()
    kept: list[npt.NDArray[np.bool_]] = []
    if mnist is None:
        report.missing(NEEDS_MNIST, "mnist_test_accuracy", "expected_calibration_error")
    else:
        kept.append(_measure_mnist(report, reader, mnist[: counts.digits]))
    if pen is None:
        names = ("pen_centred_accuracy", "pen_anywhere_accuracy", "plain_resize_anywhere_accuracy")
        report.missing(NEEDS_PEN_STROKES, *names, "pen_calibration_error")
    else:
        kept.extend(_measure_pen(report, reader, pen[: counts.digits]))
    _measure_doubt(report, reader, kept, counts)
    _measure_numbers(report, reader, mnist, pen, counts)
    model = reader.model
    report.tell("parameters", model.parameters)
    report.tell("model_bytes", model.artifact_bytes)
    timed = non_digits.scribbles(counts.timed, SEED)
    report.tell("engine_ms", reader.engine_ms(timed), "one thread, median of single images")
    return report


def _measure_mnist(report: Report, reader: Reader, mnist: Digits) -> npt.NDArray[np.bool_]:
    """Which of MNIST's test digits are not called uncertain: (N,)."""
    answers = reader.read(mnist.images)
    report.share("mnist_test_accuracy", answers.digits == mnist.labels, "digits")
    error = expected_calibration_error(answers.probabilities, mnist.labels)
    report.tell("expected_calibration_error", error, "of MNIST's test digits, 15 bins")
    return ~answers.is_uncertain


def _measure_pen(
    report: Report, reader: Reader, digits: Sequence[PenDigit]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which of the drawings are not called uncertain, centred and anywhere: (N,) each."""
    labels = np.array([digit.label for digit in digits], np.uint8)
    generator = np.random.default_rng(SEED)
    anywhere = [strokes.draw_anywhere(digit, generator) for digit in digits]
    centred_answers = reader.read([strokes.draw_centred(digit) for digit in digits])
    answers = reader.read(anywhere)
    plain = reader.read(anywhere, prediction_pb2.PREPROCESSING_RESIZE)
    report.share("pen_centred_accuracy", centred_answers.digits == labels, "drawings")
    report.share("pen_anywhere_accuracy", answers.digits == labels, "drawings")
    report.share("plain_resize_anywhere_accuracy", plain.digits == labels, "drawings")
    error = expected_calibration_error(answers.probabilities, labels)
    report.tell("pen_calibration_error", error, "of the drawings anywhere")
    return ~centred_answers.is_uncertain, ~answers.is_uncertain


def _measure_doubt(report: Report, reader: Reader, kept: list[npt.NDArray[np.bool_]], counts: Counts) -> None:
    letters = reader.read(non_digits.letters(counts.non_digits, SEED)).is_uncertain
    scribbles = reader.read(non_digits.scribbles(counts.non_digits, SEED)).is_uncertain
    report.share("non_digits_flagged", np.concatenate([letters, scribbles]), "letters and scribbles")
    report.share("letters_flagged", letters, "letters")
    report.share("scribbles_flagged", scribbles, "scribbles")
    if kept:
        report.share("true_digits_kept", np.concatenate(kept), "digits and drawings of those above")
    else:
        report.missing(f"{NEEDS_MNIST} or DIGITS_PEN_STROKES", "true_digits_kept")


def _measure_numbers(
    report: Report, reader: Reader, mnist: Digits | None, pen: Sequence[PenDigit] | None, counts: Counts
) -> None:
    if mnist is None:
        names = ("strings_apart_exact", "strings_touching_exact", "strings_overlapping_exact")
        report.missing(NEEDS_MNIST, *names)
    else:
        digits = mnist.images, mnist.labels, counts.numbers, SEED
        _measure_strings(report, reader, "strings_apart_exact", number_strings.apart(*digits))
        _measure_strings(report, reader, "strings_touching_exact", number_strings.touching(*digits))
        _measure_strings(report, reader, "strings_overlapping_exact", number_strings.overlapping(*digits))
    if pen is None:
        report.missing(NEEDS_PEN_STROKES, "pen_strings_exact")
    else:
        _measure_strings(report, reader, "pen_strings_exact", number_strings.pen(pen, counts.numbers, SEED))


def _measure_strings(report: Report, reader: Reader, name: str, numbers: Sequence[Number]) -> None:
    read = reader.read_numbers([image for image, _ in numbers])
    is_exact = [text == truth for text, (_, truth) in zip(read, numbers, strict=True)]
    report.share(name, np.array(is_exact), "numbers")


def measure_teaching(
    report: Report, server: Server | None, pen: Sequence[PenDigit] | None, amounts: teach.Amounts
) -> None:
    """What people's own samples do to a version that knows none of them. Trains: some minutes.

    `server` is None when it has no MNIST.
    """
    if pen is None or server is None:
        report.missing(NEEDS_PEN_STROKES if pen is None else NEEDS_MNIST, *TEACHING)
        return
    teaching = teach.measure(server, pen, SEED, amounts)
    was_wrong, is_wrong = teaching.was_wrong, teaching.is_wrong
    report.share("teach_error_reduction", ~is_wrong[was_wrong], "digits that were read wrongly")
    broken = int((is_wrong & ~was_wrong).sum())
    net = 1 - is_wrong.sum() / max(was_wrong.sum(), 1)
    report.tell("teach_net_error_reduction", float(net), f"{broken} of {(~was_wrong).sum():,} newly wrong")
    drops = [lesson.mnist_drop for lesson in teaching.lessons]
    report.tell(
        "teach_mnist_drop", statistics.mean(drops), f"mean of the writers; the worst {max(drops):.4f}"
    )
    told = f"median of {len(teaching.seconds)} whole runs with {amounts.timed_samples} samples"
    report.tell("teach_s", statistics.median(teaching.seconds), told)
    worst = ", ".join(str(lesson.writer) for lesson in teaching.lessons)
    report.tell("teach_writers", len(teaching.lessons), f"the worst-read of 30: {worst}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how well the shipped model reads.")
    parser.add_argument("--quick", action="store_true", help="a few of each: only to see that it works")
    chosen = parser.parse_args()
    started = time.perf_counter()
    pen_strokes = os.environ.get("DIGITS_PEN_STROKES")
    try:
        everybody = read_pen_strokes(Path(pen_strokes)) if pen_strokes else None
    except DigitsError as error:
        print(error)
        return 2
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name))
        try:
            has_mnist = server.has_mnist()
            data = Data.open(Path(name) / "data" / "datasets")
            mnist = data.partition(Partition.MNIST_TEST) if has_mnist else None
            pen = None if everybody is None else of_group(everybody, WriterGroup.TEST)
            report = measure(Reader(server.channel), mnist, pen, QUICK if chosen.quick else Counts())
            # Last: another version is deployed then.
            amounts = teach.QUICK if chosen.quick else teach.Amounts()
            measure_teaching(report, server if has_mnist else None, everybody, amounts)
        finally:
            server.close()
    if not chosen.quick:
        save(report.measured, RESULTS, unmeasured=report.results.keys() - report.measured.keys())
    print(table(report.results, TARGETS, is_judged=not chosen.quick, notes=report.notes))
    print(f"{time.perf_counter() - started:.0f} s" + (", quick: nothing is saved" if chosen.quick else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
