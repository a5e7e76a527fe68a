"""What those who changed something were told, and what may therefore be there after a kill."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


class Presence(Enum):
    """Whether something has to be there."""

    HERE = "here"
    """It was told to be kept."""
    GONE = "gone"
    """It was told to be deleted."""
    EITHER = "either"
    """No answer came: one of the two, and once that was seen it stays so."""


@dataclass
class SampleFact:
    """A sample that was sent. Its pixels are like no other's: they tell it from all the others."""

    pixels: Image
    labels: frozenset[int]
    """What its label may be: more than one after a change that was not answered."""
    presence: Presence = Presence.EITHER
    sample_id: str = ""
    """Empty until it was told."""
    request_id: str = ""
    """Empty for one that came with an archive."""
    archive: str = ""
    """The archive that it came with: all of it is there or nothing."""


@dataclass
class VersionFact:
    """A version. `sha256` of its description, which tells the checksums of all its files."""

    sha256: str
    training_id: str
    """Of the run that made it."""
    presence: Presence = Presence.HERE
    is_settled: bool = True
    """False for one whose run has yet to tell that it has succeeded."""


@dataclass(frozen=True)
class DeployFact:
    """A deployment that was asked for. Its cause is like no other's."""

    request_id: str
    version: int
    cause: str


@dataclass
class RunFact:
    """A training run that was started."""

    training_id: str
    request_id: str
    recipe: str
    seed: int
    deploys: bool
    cuts: int = 0
    """How often its child or the server was killed while it may have trained."""
    is_told_to_end: bool = False
    """A cancellation was sent, answered or not."""
    is_stopped: bool = False
    """It was told that the run ends early with its best epoch."""
    ended_as: str = ""
    """Its final state, once that was told; empty before."""
    model_version: int = 0


@dataclass
class Ledger:
    """What all of them count together. May be used from any thread."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    """By kind of change, those whose answer came."""
    predictions: int = 0
    half_versions: int = 0
    lost: list[str] = field(default_factory=list)
    """What was told and is not so; what is there twice; what nobody asked for."""
    faults: list[str] = field(default_factory=list)
    """What else should not have been: refusals without a reason, errors in a log, processes left over."""
    _sent: Counter[str] = field(default_factory=Counter)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def sending(self, kind: str) -> None:
        """A change is about to be sent."""
        with self._changed:
            self._sent[kind] += 1
            self._changed.notify_all()

    def acknowledge(self, kind: str) -> None:
        """Its answer came."""
        with self._changed:
            self.acknowledged[kind] += 1
            self._changed.notify_all()

    def predicted(self) -> None:
        """A prediction came, and was right."""
        with self._changed:
            self.predictions += 1

    def lose(self, what: str) -> None:
        """Something that was told is not so."""
        with self._changed:
            self.lost.append(what)

    def fault(self, what: str) -> None:
        """Something else that should not have been."""
        with self._changed:
            self.faults.append(what)

    @property
    def total(self) -> int:
        """The changes of all kinds that were acknowledged."""
        with self._changed:
            return self.acknowledged.total()

    def wait_for_total(self, total: int, timeout_s: float) -> None:
        """Until so many changes were acknowledged, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self.acknowledged.total() >= total, timeout_s)

    def wait_for_sending(self, kind: str, timeout_s: float) -> None:
        """Until a change of this kind is on its way, or the time is over."""
        with self._changed:
            before = self._sent[kind]
            self._changed.wait_for(lambda: self._sent[kind] > before, timeout_s)


def key_of(pixels: Image) -> str:
    """What tells a sample from all others."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()
