"""`digits sweep`: try many options, and see which are best."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from digits.cli.command import Commands, Exit, Output, percent, table, word
from digits.cli.training import PATIENCE_S, add_options, training_options
from digits.cli.trials import SweepProgress, outcome, trials_table
from digits.client import Client, ServerUnavailable
from digits.client.choices import SweepState
from digits.client.records import Sweep, SweepRange

# How often a sweep that is followed is asked for.
POLL_S = 1.0

RANGES = """\
ranges:
  --range learning_rate=0.0001:0.01:log   from 0.0001 to 0.01, drawn evenly by the logarithm
  --range batch_size=32:256               from 32 to 256
  --range optimizer=adam,sgd              one of these
  Also activation, architecture, augmentation.
"""


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    sweep = commands.add_parser("sweep", help="try many options: start, show, list, stop")
    actions = sweep.add_subparsers(title="commands", metavar="COMMAND", required=True)

    start = actions.add_parser(
        "start",
        parents=[common],
        help="start a sweep",
        epilog=RANGES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    start.add_argument("recipe", metavar="RECIPE", help="what the trials start from, such as cnn")
    start.add_argument(
        "--range",
        dest="ranges",
        action="append",
        required=True,
        type=sweep_range,
        metavar="OPTION=RANGE",
        help="what to try; once for each option, see below",
    )
    start.add_argument("--trials", type=int, default=10, metavar="N", help="how many, 2 to 100 (10)")
    start.add_argument(
        "--keep-all", action="store_true", help="train all to the end, also those that fall behind"
    )
    start.add_argument("--deploy", action="store_true", help="deploy the best if it passes the gate")
    start.add_argument("--follow", action="store_true", help="follow the sweep until it ends")
    add_options(start)
    start.set_defaults(run=run_start)

    show = actions.add_parser("show", parents=[common], help="a sweep and its trials")
    show.add_argument("sweep_id", metavar="SWEEP")
    show.add_argument("--follow", action="store_true", help="follow it until it ends")
    show.set_defaults(run=run_show)

    listing = actions.add_parser("list", parents=[common], help="list the sweeps, newest first")
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many, 1 to 100 (20)")
    listing.set_defaults(run=run_list)

    stop = actions.add_parser("stop", parents=[common], help="end a sweep; the best so far stays the best")
    stop.add_argument("sweep_id", metavar="SWEEP")
    stop.set_defaults(run=run_stop)


def sweep_range(text: str) -> SweepRange:
    """The type of an option that takes a range: `batch_size=32:256`, `optimizer=adam,sgd`."""
    name, equals, told = text.partition("=")
    option = name.strip().lower().replace("-", "_")
    if not (option and equals and told.strip()):
        raise argparse.ArgumentTypeError(
            f"expected OPTION=MIN:MAX, OPTION=MIN:MAX:log or OPTION=A,B, got {text!r}"
        )
    if ":" not in told:
        return SweepRange(option, values=tuple(each.strip().lower() for each in told.split(",")))
    ends = told.split(":")
    try:
        low, high = map(float, ends[:2])
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected two numbers, MIN:MAX, got {told!r}") from None
    if ends[2:] not in ([], ["log"]):
        raise argparse.ArgumentTypeError(f"expected MIN:MAX or MIN:MAX:log, got {told!r}")
    return SweepRange(option, min=low, max=high, logarithmic=ends[2:] == ["log"])


def run_start(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Start the sweep; with --follow, follow it."""
    sweep = client.start_sweep(
        options.recipe,
        options.ranges,
        training_options(options),
        trials=options.trials,
        keep_all=options.keep_all,
        deploy_when_done=options.deploy,
        timeout_s=options.timeout,
    )
    if options.follow:
        if not output.is_json:
            output.note(f"sweep {sweep.sweep_id}")
        return _follow(client, sweep.sweep_id, options, output)
    output.result(sweep, sweep.sweep_id)
    return Exit.DONE


def run_show(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Its trials, and the best of them; with --follow, as they come."""
    if options.follow:
        return _follow(client, options.sweep_id, options, output)
    sweep = client.get_sweep(options.sweep_id, timeout_s=options.timeout)
    output.result(sweep, _whole(sweep))
    return Exit.DONE


def run_list(client: Client, options: argparse.Namespace, output: Output) -> int:
    """A line for each sweep."""
    page = client.list_sweeps(options.limit, timeout_s=options.timeout)
    rows = [
        (
            sweep.sweep_id,
            sweep.recipe,
            word(sweep.state),
            f"{sweep.ended}/{len(sweep.trials)}",
            _best_accuracy(sweep),
            str((sweep.best.model_version if sweep.best else 0) or "–"),
        )
        for sweep in page.sweeps
    ]
    titles = ("SWEEP", "RECIPE", "STATE", "TRIALS", "BEST", "VERSION")
    output.result(page, table(titles, rows) if rows else "No sweeps yet.")
    return Exit.DONE


def run_stop(client: Client, options: argparse.Namespace, output: Output) -> int:
    """End it; returns when no trial trains any more."""
    sweep = client.stop_sweep(options.sweep_id, timeout_s=options.timeout)
    output.result(sweep, _whole(sweep))
    return Exit.DONE


def _follow(client: Client, sweep_id: str, options: argparse.Namespace, output: Output) -> int:
    progress = SweepProgress()
    sweep = None
    try:
        for sweep in _states(client, sweep_id, options.timeout, progress):
            if output.is_json:
                output.result(sweep, "")
            else:
                progress.show(sweep)
    except KeyboardInterrupt:
        progress.end()
        output.note(f"The sweep goes on. See it again with: digits sweep show {sweep_id} --follow")
        return Exit.INTERRUPTED
    if not output.is_json:
        progress.end()
        output.result(None, outcome(sweep) if sweep else "")
    if sweep is None or sweep.state is not SweepState.SUCCEEDED:
        ended = f"{word(sweep.state)}. {sweep.failure_reason}".rstrip() if sweep else "early."
        output.note(f"digits: sweep {sweep_id} ended {ended}")
        return Exit.REFUSED
    return Exit.DONE


def _states(
    client: Client, sweep_id: str, timeout_s: float | None, progress: SweepProgress
) -> Iterator[Sweep]:
    """The sweep at every change. A server that restarts takes the sweep up again by itself: wait for it."""
    known: Sweep | None = None
    seen_at = 0.0
    is_told = False
    while True:
        try:
            sweep = client.get_sweep(sweep_id, timeout_s=timeout_s)
        except ServerUnavailable as error:
            if error.is_slow or not seen_at or time.monotonic() - seen_at > PATIENCE_S:
                raise
            if not is_told:
                progress.say(f"{error.message} Waiting for it.")
            is_told = True
        else:
            seen_at, is_told = time.monotonic(), False
            if sweep != known:
                yield sweep
            if sweep.state.is_final:
                return
            known = sweep
        time.sleep(POLL_S)


def _whole(sweep: Sweep) -> str:
    """All trials, and what came of them."""
    said = f"sweep {sweep.sweep_id}, {sweep.recipe}: {word(sweep.state)}. {sweep.failure_reason}".rstrip()
    return "\n".join(part for part in (said, trials_table(sweep), outcome(sweep)) if part)


def _best_accuracy(sweep: Sweep) -> str:
    best = sweep.best
    return "–" if best is None or best.validation_accuracy is None else percent(best.validation_accuracy)
