"""How a run goes, on stderr: one line that moves on a terminal, a line for each epoch elsewhere."""

from __future__ import annotations

import shutil
import sys
from typing import TextIO

from digits.cli.command import percent
from digits.client.choices import TrainingPhase, TrainingState
from digits.client.records import EpochMetrics, Training, TrainingProgress

BAR = 24


class Shown:
    """Where progress is shown: in a line that moves where `is_live`, in lines of its own elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self.is_live = self._stream.isatty()

    def move(self, text: str) -> None:
        """Show this in place of what the line that moves has shown."""
        columns = shutil.get_terminal_size().columns
        self._write(f"\r\x1b[K{text[: columns - 1]}")

    def say(self, text: str) -> None:
        """Say something beside how it goes."""
        self._write(f"\r\x1b[K{text}\n" if self.is_live else f"{text}\n")

    def end(self) -> None:
        """Leave what was shown last, and go on below it."""
        if self.is_live:
            self._write("\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class Progress(Shown):
    """Shows the states of one run, one after the other."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._epochs = 0
        self._said = ""

    def show(self, run: Training) -> None:
        """Show the run as it is now."""
        if self.is_live:
            self.move(line(run))
            return
        # The history tells each epoch once, whatever was missed between two states.
        for epoch in run.history[self._epochs :]:
            self._write(f"{epoch_line(epoch, run)}\n")
        self._epochs = len(run.history)
        if not run.history and (text := line(run)) != self._said and run.state is TrainingState.QUEUED:
            self._write(f"{text}\n")
            self._said = text


def line(run: Training) -> str:
    """A run in one line."""
    progress = run.progress
    if run.state is TrainingState.QUEUED:
        return f"waiting, place {run.queue_position} in the queue"
    if run.state.is_final or progress is None:
        return run.state.name.lower()
    if progress.phase is TrainingPhase.EVALUATING:
        return f"{bar(1.0)}  measuring the result as it will serve"
    if progress.phase is not TrainingPhase.TRAINING or not progress.epoch:
        return f"{bar(0.0)}  starting"
    words = [bar(share(progress)), f"epoch {progress.epoch}/{progress.epochs}"]
    if progress.remaining_s is not None:
        words.append(f"{progress.remaining_s:.0f} s left")
    words.append(f"loss {progress.loss:.4f}")
    if progress.validation_accuracy is not None:
        words.append(f"validation {percent(progress.validation_accuracy)}")
    words.append(f"{progress.images_per_s:,.0f} images/s")
    return "  ".join(words)


def epoch_line(epoch: EpochMetrics, run: Training) -> str:
    """A finished epoch in one line."""
    epochs = run.progress.epochs if run.progress else run.options.epochs
    validation = (
        ""
        if epoch.validation_accuracy is None
        else f", validation accuracy {percent(epoch.validation_accuracy)}"
    )
    return (
        f"epoch {epoch.epoch}/{epochs}: loss {epoch.loss:.4f}, "
        f"accuracy {percent(epoch.accuracy)}{validation}, {epoch.duration_s:.1f} s"
    )


def share(progress: TrainingProgress) -> float:
    """How much of the training is done, in [0, 1]."""
    if not progress.epochs or not progress.batches_per_epoch:
        return 0.0
    done = max(progress.epoch - 1, 0) + progress.batch / progress.batches_per_epoch
    return min(1.0, done / progress.epochs)


def bar(share: float) -> str:
    """A bar that is full at 1."""
    full = round(BAR * share)
    return f"[{'#' * full}{'.' * (BAR - full)}] {100 * share:3.0f} %"
