"""`digits train`, `digits watch` and `digits runs`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from digits.cli.command import Commands, Exit, Output, choice, percent, table
from digits.cli.progress import Progress
from digits.client import Client, ServerUnavailable
from digits.client.choices import Activation, Architecture, Augmentation, Optimizer, TrainingState
from digits.client.records import Training, TrainingOptions

# How long a server may be away while a run is watched, and how often it is looked for.
PATIENCE_S = 60.0
PAUSE_S = 1.0


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    train = commands.add_parser("train", parents=[common], help="start a training run")
    train.add_argument("--preset", required=True, metavar="NAME", help="a recipe, such as classic")
    add_options(train)
    train.add_argument(
        "--base-version",
        type=int,
        default=0,
        metavar="N",
        help="to go on from, with samples",
    )
    train.add_argument("--deploy", action="store_true", help="deploy the result if it passes the gate")
    train.add_argument("--watch", action="store_true", help="follow the run until it ends")
    train.set_defaults(run=run_train)

    watch = commands.add_parser("watch", parents=[common], help="follow a run until it ends")
    watch.add_argument("training_id", metavar="RUN")
    watch.set_defaults(run=run_watch)

    runs = commands.add_parser("runs", parents=[common], help="list the training runs, newest first")
    runs.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many, 1 to 100 (20)")
    runs.set_defaults(run=run_runs)


def add_options(command: argparse.ArgumentParser) -> None:
    """The choices of a run; what is not given is the recipe's."""
    command.add_argument("--epochs", type=int, metavar="N")
    command.add_argument("--batch-size", type=int, metavar="N")
    command.add_argument("--learning-rate", type=float, metavar="X")
    command.add_argument("--seed", type=int, metavar="N")
    command.add_argument("--architecture", type=choice(Architecture), default=Architecture(0), metavar="NAME")
    command.add_argument("--activation", type=choice(Activation), default=Activation(0), metavar="NAME")
    command.add_argument("--optimizer", type=choice(Optimizer), default=Optimizer(0), metavar="NAME")
    command.add_argument("--augmentation", type=choice(Augmentation), default=Augmentation(0), metavar="NAME")


def training_options(options: argparse.Namespace) -> TrainingOptions:
    """The choices that were given to `add_options`."""
    return TrainingOptions(
        architecture=options.architecture,
        activation=options.activation,
        optimizer=options.optimizer,
        learning_rate=options.learning_rate,
        epochs=options.epochs,
        batch_size=options.batch_size,
        augmentation=options.augmentation,
        seed=options.seed,
    )


def run_train(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Start the run; with --watch, follow it."""
    run = client.start_training(
        options.preset,
        training_options(options),
        deploy_when_done=options.deploy,
        base_version=options.base_version,
        timeout_s=options.timeout,
    )
    if options.watch:
        if not output.is_json:
            output.note(f"run {run.training_id}")
        return _follow(client, run.training_id, options, output)
    output.result(run, run.training_id)
    return Exit.DONE


def run_watch(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Follow a run that was started before."""
    return _follow(client, options.training_id, options, output)


def run_runs(client: Client, options: argparse.Namespace, output: Output) -> int:
    """A line for each run."""
    page = client.list_trainings(options.limit, timeout_s=options.timeout)
    rows = [
        (run.training_id, run.recipe, run.state.name.lower(), run.model_version or "–")
        for run in page.trainings
    ]
    output.result(page, table(("RUN", "PRESET", "STATE", "VERSION"), rows) if rows else "No runs yet.")
    return Exit.DONE


def _follow(client: Client, training_id: str, options: argparse.Namespace, output: Output) -> int:
    progress = Progress()
    run = None
    try:
        for run in _states(client, training_id, options.timeout, progress):
            if output.is_json:
                output.result(run, "")
            else:
                progress.show(run)
    except KeyboardInterrupt:
        progress.end()
        output.note(f"The run goes on. See it again with: digits watch {training_id}")
        return Exit.INTERRUPTED
    if not output.is_json:
        progress.end()
    if run is None or run.state is not TrainingState.SUCCEEDED:
        ended = f"{run.state.name.lower()}. {run.failure_reason}".rstrip() if run else "early."
        output.note(f"digits: run {training_id} ended {ended}")
        return Exit.REFUSED
    if not output.is_json:
        output.result(None, _outcome(run))
    return Exit.DONE


def _states(
    client: Client, training_id: str, timeout_s: float | None, progress: Progress
) -> Iterator[Training]:
    """The run at every change. A server that restarts takes the run up again by itself: wait for it."""
    seen_at = 0.0
    is_told = False
    while True:
        try:
            for run in client.watch_training(training_id, timeout_s=timeout_s):
                seen_at, is_told = time.monotonic(), False
                yield run
            return
        except ServerUnavailable as error:
            if error.is_slow or not seen_at or time.monotonic() - seen_at > PATIENCE_S:
                raise
            if not is_told:
                progress.say(f"{error.message} Waiting for it.")
            is_told = True
            time.sleep(PAUSE_S)


def _outcome(run: Training) -> str:
    accuracies = [epoch.validation_accuracy for epoch in run.history if epoch.validation_accuracy is not None]
    lines = [f"version {run.model_version} is ready"]
    if accuracies:
        lines[0] += f": {percent(max(accuracies))} of the validation digits"
    if run.gate is not None:
        lines.append("It passed the gate." if run.gate.passed else "It stays a candidate:")
        lines.extend(f"  {reason}" for reason in run.gate.reasons)
    return "\n".join(lines)
