"""How the page names a sweep: what it tries, where it stands, and which trial is the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from digits.client.choices import SweepState, TrialState
from digits.client.records import Evaluation, Sweep, SweepRange, Trial

from frontend.mistakes.interval import wilson
from frontend.training import words as training
from frontend.wording import DATASETS, accuracy, count, duration, percent

# In the order of the form, the table and the plot.
TITLES: Mapping[str, str] = {
    "learning_rate": "Learning rate",
    "batch_size": "Batch size",
    "optimizer": "Optimizer",
    "augmentation": "Augmentation",
    "architecture": "Network",
    "activation": "Activation",
}
SWEEP_STATES: Mapping[SweepState, str] = {
    SweepState.UNSPECIFIED: "unknown",
    SweepState.RUNNING: "training",
    SweepState.SUCCEEDED: "done",
    SweepState.FAILED: "failed",
    SweepState.STOPPED: "stopped",
}
TRIAL_STATES: Mapping[TrialState, str] = {
    TrialState.UNSPECIFIED: "unknown",
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "training",
    TrialState.SUCCEEDED: "done",
    TrialState.FELL_BEHIND: "fell behind",
    TrialState.FAILED: "failed",
    TrialState.CANCELLED: "cancelled",
}
_NAMES: Mapping[str, Mapping[str, str]] = {
    option: {member.name.lower(): name for member, name in names.items()}
    for option, names in (
        ("optimizer", training.OPTIMIZERS),
        ("augmentation", training.AUGMENTATIONS),
        ("architecture", training.ARCHITECTURES),
        ("activation", training.ACTIVATIONS),
    )
}
_RANGES: Mapping[str, str] = {
    "learning_rate": "learning rates",
    "batch_size": "batches",
    "augmentation": "augmentation",
}


def ordered(ranges: Iterable[SweepRange]) -> list[SweepRange]:
    """Ranges in the order of the form; those that only a newer server knows come last."""
    order = list(TITLES)
    return sorted(ranges, key=lambda each: order.index(each.option) if each.option in order else len(order))


def text(option: str, told: str) -> str:
    """A value of a range, which the contract has as text: "adam" -> "Adam", "0.010" -> "0.01"."""
    if option in _NAMES:
        return _NAMES[option].get(told, told)
    try:
        number = float(told)
    except ValueError:
        return told
    if option != "learning_rate":
        return f"{number:,.0f}"
    # As people write it: 0.00002, not 2e-05.
    return f"{number:.3g}" if number >= 1e-4 else f"{number:.7f}".rstrip("0")


def chosen(trial: Trial, option: str) -> str:
    """An option of a trial: "0.0032", "125", "Adam". "–" for one that only a newer server knows."""
    value = getattr(trial.options, option, None)
    if value is None:
        return "–"
    return text(option, value.name.lower() if option in _NAMES else str(value))


def options_line(trial: Trial, ranges: Sequence[SweepRange]) -> str:
    """What is the trial's own: "learning rate 0.0032, batch size 125"."""
    return ", ".join(
        f"{TITLES.get(each.option, each.option).lower()} {chosen(trial, each.option)}"
        for each in ordered(ranges)
    )


def range_words(tried: SweepRange) -> str:
    """What is tried of an option: "learning rates from 0.001 to 0.02", "batches of 64 or 125"."""
    name = _RANGES.get(tried.option, "")
    if tried.values:
        said = listed([text(tried.option, value) for value in tried.values], "or")
        return f"{name} of {said}" if tried.option == "batch_size" else f"{name} {said}".strip()
    low, high = (text(tried.option, str(end or 0)) for end in (tried.min, tried.max))
    return f"{name} from {low} to {high}"


def ranges_words(ranges: Iterable[SweepRange]) -> str:
    """All that is tried."""
    said = [range_words(each) for each in ordered(ranges)]
    # A comma before the last one, too: they may be lists themselves.
    return ", and ".join(part for part in (", ".join(said[:-1]), *said[-1:]) if part)


def plan(
    title: str,
    ranges: Sequence[SweepRange],
    *,
    trials: int,
    epochs: int,
    ends_early: bool,
    deploys: bool,
    seconds: float | None,
) -> str:
    """What a click on Start will do, and how long that may take."""
    said = f"Trains {title} {trials} times for {count(epochs, 'epoch')}, with {ranges_words(ranges)}"
    said += ", and ends those early that fall behind" if ends_early else ""
    said += "; the best one answers everybody if it passes the gate." if deploys else "."
    if seconds is None:
        return f"{said} How long that takes is told after the first epoch."
    about = duration(rounded(seconds))
    return f"{said} It may take about {about}{', or less' if ends_early else ''}."


def rounded(seconds: float) -> float:
    """A guessed time without figures that nobody can know: 83 -> 80, 754 -> 780, 9000 -> 9000."""
    step = 10 if seconds < 120 else 60 if seconds < 3600 else 600
    return max(step, round(seconds / step) * step)


def where(sweep: Sweep) -> str:
    """How far a running sweep is, in a sentence."""
    said = f"{sweep.ended} of {count(len(sweep.trials), 'trial')} done"
    running = [trial for trial in sweep.trials if trial.state is TrialState.RUNNING]
    if not running:
        return f"{said}, the next one is about to start"
    numbers = listed([str(trial.number) for trial in running], "and")
    if len(running) > 1:
        return f"{said}, trials {numbers} train"
    return f"{said}, trial {numbers} trains: {epoch(running[0])}"


def epoch(trial: Trial) -> str:
    """In which epoch a trial is, or how many it has done: "epoch 2 of 3", "1 of 3 epochs"."""
    epochs = trial.options.epochs or trial.epochs
    if trial.state is TrialState.RUNNING:
        return f"epoch {min(trial.epochs + 1, epochs)} of {epochs}"
    return f"{trial.epochs} of {count(epochs, 'epoch')}"


def share_done(sweep: Sweep) -> float:
    """How much of a sweep is done, in [0, 1], counted in trials and their epochs."""
    done = sum(
        1.0 if trial.state.is_final else trial.epochs / max(1, trial.options.epochs or 1)
        for trial in sweep.trials
    )
    return min(1.0, done / max(1, len(sweep.trials)))


def best(sweep: Sweep, images: int) -> str:
    """The best trial in a sentence. `images`: how many validation digits there are, 0 if that is unknown."""
    trial = sweep.best
    if trial is None or trial.validation_accuracy is None:
        return ""
    so_far = "" if sweep.state.is_final else " so far"
    read = f"{percent(trial.validation_accuracy, 2)} of {f'{images:,} ' if images else ''}validation digits"
    options = options_line(trial, sweep.ranges)
    said = f"Trial {trial.number} is the best{so_far}: {options}. It reads {read} right"
    if not images:
        return f"{said}."
    low, high = wilson(round(trial.validation_accuracy * images), images)
    return f"{said}, 95\xa0% interval {low * 100:.2f}–{high * 100:.2f}\xa0%."


def as_good(sweep: Sweep, images: int) -> str:
    """Which other trials these digits cannot tell from the best; empty text when there are none."""
    trial = sweep.best
    if trial is None or trial.validation_accuracy is None or not images:
        return ""
    low, _ = wilson(round(trial.validation_accuracy * images), images)
    near = [
        str(each.number)
        for each in sweep.trials
        if each is not trial
        and each.state is TrialState.SUCCEEDED
        and each.validation_accuracy is not None
        and each.validation_accuracy >= low
    ]
    if not near:
        return ""
    who = f"Trial {near[0]} lies" if len(near) == 1 else f"Trials {listed(near, 'and')} lie"
    return f"{who} within that interval: {images:,} digits cannot tell which of them is better."


def tested(number: int, evaluation: Evaluation) -> str:
    """How the version of a trial reads digits on which nothing was chosen."""
    images = count(evaluation.images, "image")
    return (
        f"Of {images} of the {DATASETS[evaluation.dataset]}, which chose nothing, trial {number} reads "
        f"{accuracy(evaluation)} right."
    )


def listed(names: Sequence[str], last: str) -> str:
    """["a", "b", "c"] -> "a, b and c" with `last` "and"."""
    return f" {last} ".join(part for part in (", ".join(names[:-1]), names[-1]) if part) if names else ""


def heading_html(sweep: Sweep, title: str) -> str:
    """The heading of a sweep, as HTML."""
    trials = count(len(sweep.trials), "trial")
    return f"{escape(title)}, {trials} <span>· {escape(SWEEP_STATES[sweep.state])}</span>"
