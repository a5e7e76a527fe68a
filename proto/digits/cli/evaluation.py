"""`digits evaluate` and `digits mistakes`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from digits.cli.command import Commands, Exit, Output, WrongUse, add_version, choice, digit, percent, table
from digits.cli.sheet import sheet
from digits.client import Client
from digits.client.choices import Dataset, EvaluationState, MisclassifiedOrder
from digits.client.records import Evaluation

POLL_S = 0.2
# The best measure there is comes first: it depends on the digits on the server's machine.
PREFERRED = (Dataset.MNIST_TEST, Dataset.BUILTIN_TEST, Dataset.BUILTIN_DIGITS)


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    evaluate = commands.add_parser("evaluate", parents=[common], help="measure a version on a data set")
    add_version(evaluate)
    _add_dataset(evaluate, "by default the best test set that is there")
    evaluate.set_defaults(run=run_evaluate)

    mistakes = commands.add_parser("mistakes", parents=[common], help="the digits that a version misreads")
    add_version(mistakes)
    _add_dataset(mistakes, "by default the test set of the version's own training")
    mistakes.add_argument("--label", type=digit, metavar="DIGIT", help="only digits that are this one")
    mistakes.add_argument("--predicted", type=digit, metavar="DIGIT", help="only digits read as this one")
    mistakes.add_argument(
        "--order",
        type=choice(MisclassifiedOrder),
        default=MisclassifiedOrder.UNSPECIFIED,
        metavar="ORDER",
        help="confidence (the default), loss, index, random or margin",
    )
    mistakes.add_argument("--seed", type=int, default=0, metavar="N", help="of the random order")
    mistakes.add_argument("--limit", type=int, default=16, metavar="N", help="how many, up to 1000 (16)")
    mistakes.add_argument("--png", type=Path, metavar="FILE", help="draw them there (needs digit-lab[png])")
    mistakes.set_defaults(run=run_mistakes)


def run_evaluate(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Measure, wait, and tell."""
    dataset = options.dataset or _best_dataset(client, output)
    evaluation = client.evaluate(dataset, options.model_version, timeout_s=options.timeout)
    while evaluation.state is EvaluationState.RUNNING:
        time.sleep(POLL_S)
        evaluation = client.get_evaluation(evaluation.evaluation_id, timeout_s=options.timeout)
    output.result(evaluation, _summary(evaluation))
    return Exit.DONE if evaluation.state is EvaluationState.SUCCEEDED else Exit.REFUSED


def run_mistakes(client: Client, options: argparse.Namespace, output: Output) -> int:
    """A line for each mistake, and a sheet of them."""
    page = client.list_misclassified(
        model_version=options.model_version,
        dataset=options.dataset,
        true_digit=options.label,
        predicted_digit=options.predicted,
        order=options.order,
        seed=options.seed,
        page_size=options.limit,
        timeout_s=options.timeout,
    )
    if options.png is not None:
        if not page.digits:
            raise WrongUse(f"there are no such mistakes: nothing was written to {options.png}")
        options.png.write_bytes(sheet(page.digits))
    rows = [
        (mistake.index, mistake.true_digit, mistake.predicted_digit, percent(mistake.confidence))
        for mistake in page.digits
    ]
    lines = table(("INDEX", "LABEL", "PREDICT", "CONFIDENCE"), rows) if rows else ""
    count = f"{len(rows)} of {page.total_size} mistakes" if rows else "No such mistakes."
    output.result(page, "\n".join(line for line in (lines, count) if line))
    return Exit.DONE


def _add_dataset(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--dataset",
        type=choice(Dataset),
        default=Dataset.UNSPECIFIED,
        metavar="NAME",
        help=f"mnist_test, builtin_digits or builtin_test; {default}",
    )


def _best_dataset(client: Client, output: Output) -> Dataset:
    datasets = client.list_datasets()
    if datasets.data_progress:
        output.note(f"waiting for the digits: {datasets.data_progress}")
    while datasets.data_progress:
        time.sleep(POLL_S)
        datasets = client.list_datasets()
    there = {info.dataset for info in datasets.datasets if info.is_available}
    return next((dataset for dataset in PREFERRED if dataset in there), PREFERRED[0])


def _summary(evaluation: Evaluation) -> str:
    if evaluation.state is not EvaluationState.SUCCEEDED:
        return f"failed: {evaluation.failure_reason}"
    low, high = percent(evaluation.accuracy_low), percent(evaluation.accuracy_high)
    return (
        f"version {evaluation.model_version} on {evaluation.dataset.name.lower()}: "
        f"{percent(evaluation.accuracy)} correct (95 % interval {low} to {high})\n"
        f"{evaluation.misclassified} of {evaluation.images} misread, mean cross-entropy {evaluation.loss:.4f}"
    )
