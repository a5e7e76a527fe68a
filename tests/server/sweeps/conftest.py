"""Sweeps whose trainings go by a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_training import Script
from sweep_lab import SweepLab

from server.datasets import DataPreparation
from server.protocol import TrainingSpec


@pytest.fixture(scope="session")
def preparation(builtin_root: Path) -> Iterator[DataPreparation]:
    """The built-in digits, ready."""
    with DataPreparation(builtin_root) as preparation:
        preparation.wait(60)
        yield preparation


@pytest.fixture
def script(complete: Callable[..., Path], regression: Any) -> Script:
    """Trainings whose accuracy is their learning rate, and whose versions read better than the shipped."""

    def write_version(spec: TrainingSpec) -> None:
        complete(spec.staging, regression, training_id=spec.training_id, options=spec.options.to_json())

    return Script(write_version)


@pytest.fixture
def new_sweep_lab(
    tmp_path: Path,
    preparation: DataPreparation,
    complete: Callable[..., Path],
    beginner: Any,
    script: Script,
) -> Iterator[Callable[..., SweepLab]]:
    """`new_sweep_lab(at_once=…, tuner=…)` opens an empty data directory of its own."""
    labs: list[SweepLab] = []

    def open_lab(**chosen: Any) -> SweepLab:
        (tmp_path / "shipped").mkdir()
        shipped = complete(tmp_path / "shipped", beginner, training_id="")
        labs.append(SweepLab(tmp_path, preparation, shipped, script, **chosen))
        return labs[-1]

    yield open_lab
    script.last_epoch.set()
    for lab in labs:
        lab.close()


@pytest.fixture
def lab(new_sweep_lab: Callable[..., SweepLab]) -> SweepLab:
    """One machine's: one training at a time, trials one by one."""
    return new_sweep_lab()
