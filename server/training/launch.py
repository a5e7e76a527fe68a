"""How a training program is started and followed, on whichever machine it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from server.protocol import TrainingSpec


class Child(Protocol):
    """A training program that was started. `end_early` and `stop` may be called from any thread."""

    @property
    def place(self) -> Mapping[str, str | int]:
        """Where it is, for the log."""

    def events(self) -> Iterator[dict[str, Any]]:
        """Every event of the program, until it ends; see `server.protocol`. Raises OSError."""

    def end_early(self) -> None:
        """Ask it to finish with its best epoch so far. Returns at once."""

    def stop(self) -> None:
        """End it at once, saving nothing. Returns when it is gone, within about a second."""

    def wait(self) -> str:
        """Wait for it to end. Empty when it ended well, else how it ended, as a sentence."""

    @property
    def was_cut_off(self) -> bool:
        """Whether the program, which has ended, was ended from outside: the run can go on."""

    @property
    def was_lost(self) -> bool:
        """Whether it was cut off together with the machine that it was on, which answers no more."""


# (what to do, the file for what the program prints, a folder for its libraries' files) -> the program, which
# may have yet to find a place. Raises OSError.
Launch = Callable[[TrainingSpec, Path, Path], Child]
