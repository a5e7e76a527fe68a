"""A data directory with the sweeps of a server on it, and trainings that go by a script."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scripted_training import Script

from server.database import open_database, outlast
from server.datasets import DataPreparation
from server.evaluation import Evaluations
from server.gate import Gate
from server.inference import Engines
from server.models import ModelStore, SharedArtifacts
from server.recipes import TrainingOptions
from server.samples import Samples
from server.sweeps import Course, OneByOne, Report, Sweep, SweepRange, Sweeps, Tuner
from server.sweeps.table import SweepTable
from server.training import Trainings
from server.versions import Versions

PATIENCE_S = 60.0


class Paced:
    """One by one, and no training is further than its tuner has looked: what ends early does so in time."""

    def __init__(self, script: Script) -> None:
        self._looked: dict[TrainingOptions, int] = {}
        # Whose training it is not, it does not hold.
        script.allowed = lambda options, epoch: epoch <= self._looked.get(options, epoch)

    def tune(self, course: Course) -> None:
        """As `OneByOne`, of which the course learns when it asks for the next epoch."""
        options = {number: trial.options for number, trial in course._trials.items()}
        self._looked.update(dict.fromkeys(options.values(), 1))
        follow = course.follow

        def follow_and_look(number: int) -> Iterator[Report]:
            for report in follow(number):
                yield report
                self._looked[options[number]] = report.epoch + 1

        course.follow = follow_and_look  # type: ignore[method-assign]
        OneByOne().tune(course)


class SweepLab:
    """One data directory; `restart` is what a new server does."""

    def __init__(
        self,
        folder: Path,
        data: DataPreparation,
        shipped: Path,
        script: Script,
        at_once: int = 1,
        tuner: Tuner | None = None,
        database_url: str | None = None,
        artifacts_url: str | None = None,
    ) -> None:
        self.folder = folder
        self.data = data
        self.shipped = shipped
        self.script = script
        self.at_once = at_once
        self.tuner = tuner or Paced(script)
        self.database_url = database_url or f"sqlite:///{folder / 'digits.db'}"
        self.artifacts_url = artifacts_url
        self.open()

    def open_database(self) -> None:
        """Open the rows alone, to change them as a crash would leave them."""
        self.database = open_database(self.database_url)
        self.table = SweepTable(self.database)

    def open(self) -> None:
        """Start a server's part of it."""
        self.open_database()
        closing = self.closing = threading.Event()
        shared = None if self.artifacts_url is None else SharedArtifacts(self.artifacts_url)
        self.store = ModelStore(self.folder / "models", shared=shared)
        announced = self.store.catch_up()
        self.engines = Engines(self.store)
        self.evaluations = Evaluations(self.database, self.store, self.data)
        self.samples = Samples(self.database, self.store, self.data, self.folder / "samples")
        gate = Gate(self.store, self.data, self.samples)
        self.versions = Versions(
            self.database, self.store, self.engines, self.evaluations, gate, self.shipped, announced
        )
        self.trainings = Trainings(
            self.database,
            self.store,
            self.data,
            self.folder,
            on_version=lambda version, deploy: outlast(
                lambda: self.versions.take_up(version, deploy), closing.wait
            ),
            launch=self.script,
            at_once=lambda: self.at_once,
        )
        self.sweeps = Sweeps(self.database, self.trainings, self.versions, self.store, self.data, self.tuner)

    def close(self) -> None:
        """End it, as `Application` does."""
        self.store.close()
        self.closing.set()
        self.sweeps.close()
        self.trainings.close()
        self.versions.close()
        self.evaluations.close()
        self.samples.close()
        self.engines.close()
        self.database.dispose()

    def restart(self) -> None:
        """Begin anew on what is there."""
        self.close()
        self.open()

    def start(self, *rates: float, epochs: int = 3, **chosen: Any) -> Sweep:
        """Start a sweep with a trial for each learning rate."""
        tried = SweepRange("learning_rate", values=tuple(str(rate) for rate in rates))
        overrides = {"epochs": epochs, **chosen.pop("overrides", {})}
        return self.sweeps.start("classic-fast", overrides, [tried], trials=len(rates), **chosen)

    def wait_until(self, sweep_id: str, condition: Callable[[Sweep], bool]) -> Sweep:
        """The sweep, as soon as it fulfils `condition`."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition(sweep := self.sweeps.get(sweep_id)):
            assert not sweep.state.is_final, f"it ended before: {sweep}"
            assert time.monotonic() < deadline, f"it did not come about: {sweep}"
            time.sleep(0.01)
        return sweep

    def wait_for_end(self, sweep_id: str) -> Sweep:
        """The sweep in its final state."""
        return self.wait_until(sweep_id, lambda sweep: sweep.state.is_final)
