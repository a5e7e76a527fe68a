"""A sweep in lines: how far it is, what became of a trial, and which one is the best."""

from __future__ import annotations

from typing import TextIO

from digits.cli.command import percent, table, word
from digits.cli.progress import Shown, bar
from digits.client.choices import ContractEnum, TrialState
from digits.client.records import Sweep, Trial


class SweepProgress(Shown):
    """Shows the states of one sweep: a line that moves on a terminal, a line for each trial elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._told: set[int] = set()

    def show(self, sweep: Sweep) -> None:
        """Show the sweep as it is now."""
        if self.is_live:
            self.move(line(sweep))
            return
        for trial in sweep.trials:
            if trial.state.is_final and trial.number not in self._told:
                self._told.add(trial.number)
                self.say(trial_line(trial, sweep))


def line(sweep: Sweep) -> str:
    """A sweep in one line."""
    trials = len(sweep.trials)
    words = [bar(sweep.ended / trials if trials else 0.0), f"{sweep.ended}/{trials} trials"]
    if sweep.state.is_final:
        words.append(word(sweep.state))
    elif sweep.remaining_s is not None:
        words.append(f"about {sweep.remaining_s:.0f} s left")
    if (best := sweep.best) is not None and best.validation_accuracy is not None:
        words.append(f"best {percent(best.validation_accuracy)} (trial {best.number})")
    words.extend(
        f"trial {trial.number} in epoch {min(trial.epochs + 1, trial.options.epochs or trial.epochs + 1)}"
        for trial in sweep.trials
        if trial.state is TrialState.RUNNING
    )
    return "  ".join(words)


def trial_line(trial: Trial, sweep: Sweep) -> str:
    """A trial that has ended, in one line."""
    said = f"trial {trial.number}/{len(sweep.trials)}: {', '.join(tried(trial, sweep))}: "
    epochs = f"{trial.epochs} epoch{'' if trial.epochs == 1 else 's'}"
    said += f"{word(trial.state).replace('_', ' ')} after {epochs}"
    if trial.validation_accuracy is not None:
        said += f", validation accuracy {percent(trial.validation_accuracy)}"
    if trial.model_version:
        said += f", version {trial.model_version}"
    if trial.failure_reason:
        said += f": {trial.failure_reason}"
    return f"{said}, {trial.duration_s:.1f} s"


def trials_table(sweep: Sweep) -> str:
    """All trials as a table, the best one marked; the columns in between are what is tried."""
    titles = ("TRIAL", "STATE", *(each.option.upper() for each in sweep.ranges))
    rows = [
        (
            trial.number,
            word(trial.state),
            *(value(trial, each.option) for each in sweep.ranges),
            trial.epochs,
            "–" if trial.validation_accuracy is None else percent(trial.validation_accuracy),
            str(trial.model_version or "–"),
            f"{trial.duration_s:.1f}",
            "best" if trial.number == sweep.best_trial else "",
        )
        for trial in sweep.trials
    ]
    return table((*titles, "EPOCHS", "VALIDATION", "VERSION", "SECONDS", ""), rows)


def outcome(sweep: Sweep) -> str:
    """The best trial so far, and how it did at the gate; empty text while none has succeeded."""
    best = sweep.best
    if best is None:
        return ""
    said = f"trial {best.number} is the best: {', '.join(tried(best, sweep))}"
    if best.validation_accuracy is not None:
        said += f": {percent(best.validation_accuracy)} of the validation digits"
    lines = [said + (f", version {best.model_version}" if best.model_version else "")]
    if sweep.gate is not None:
        lines.append("It passed the gate." if sweep.gate.passed else "It stays a candidate:")
        lines.extend(f"  {reason}" for reason in sweep.gate.reasons)
    return "\n".join(lines)


def tried(trial: Trial, sweep: Sweep) -> list[str]:
    """The options in which the trials differ, and what this one has."""
    return [f"{each.option} {value(trial, each.option)}" for each in sweep.ranges]


def value(trial: Trial, option: str) -> str:
    """An option of a trial as text. An option that only a newer server knows is a dash."""
    chosen = getattr(trial.options, option, None)
    if isinstance(chosen, ContractEnum):
        return word(chosen)
    return "–" if chosen is None else f"{chosen:.4g}"
