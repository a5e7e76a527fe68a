"""The samples of a data directory: added, listed, changed, forgotten, and handed out as sets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine as Database

from server.database import begin_durably
from server.datasets import DataPreparation
from server.errors import SampleNotFound, SamplesFull
from server.models import ModelStore
from server.samples.accuracy import HonestReader, HonestReadings, SampleAccuracy, measure_honestly
from server.samples.kept_out import KeptOut
from server.samples.sample import ALL, NewSample, Sample, SampleFilter, SampleUse
from server.samples.sets import SampleSet, sample_set
from server.samples.table import TOGETHER, Rows, new_row

log = logging.getLogger(__name__)

MAX_SAMPLES = 100_000
# Drawings in one page of a list: a message has its limits, and so has the memory of who asks.
MAX_PAGE_BYTES = 16 * 2**20
# What the test digits may take to be known; a second, on a quiet machine.
KEPT_OUT_TIMEOUT_S = 60.0


class Samples:
    """People's own labelled drawings. May be used from any thread."""

    def __init__(self, database: Database, store: ModelStore, data: DataPreparation, folder: Path) -> None:
        """Take up the samples in `database`. `folder` is theirs, for what can be found again."""
        self._database = database
        self.folder = folder
        """Theirs, on the disk of the data."""
        folder.mkdir(parents=True, exist_ok=True)
        self._reader = HonestReader(store)
        # Between a count and what follows from it nothing comes in.
        self._writing = threading.Lock()
        self._kept_out = KeptOut(data, folder, self._exclude)

    def add(self, sample: NewSample, request_id: str | None = None) -> tuple[Sample, int]:
        """Keep a drawing; it outlasts a power cut when this returns. Gives it and the number of all.

        The same `request_id` gives the same sample. Raises SamplesFull.
        """
        with self._writing, begin_durably(self._database) as connection:
            rows = Rows(connection)
            if request_id and (known := rows.by_request(request_id)):
                return known, rows.count()
            _refuse_too_many(rows.count())
            row = new_row(sample, self._is_test_digit(sample), request_id)
            rows.insert([row])
            kept, total = rows.get(row["id"]), rows.count()
        assert kept is not None
        log.info("sample added", extra={"sample_id": kept.sample_id, "samples": total})
        return kept, total

    def add_all(self, samples: Iterator[NewSample]) -> tuple[int, int, int]:
        """Keep many drawings, or none when that raises: how many were added, were here already, and are here.

        One is here already when another has its pixels and its label. Raises SamplesFull, and what `samples`
        raises.
        """
        added = known = 0
        with self._writing, begin_durably(self._database) as connection:
            rows = Rows(connection)
            labelled, total = rows.labelled(), rows.count()
            waiting: list[dict[str, Any]] = []
            for sample in samples:
                key = (sample.fingerprints[0], sample.label)
                if key in labelled:
                    known += 1
                    continue
                _refuse_too_many(total)
                labelled.add(key)
                waiting.append(new_row(sample, self._is_test_digit(sample)))
                added, total = added + 1, total + 1
                if len(waiting) == TOGETHER:
                    rows.insert(waiting)
                    waiting = []
            if waiting:
                rows.insert(waiting)
        log.info("samples imported", extra={"added": added, "known": known, "samples": total})
        return added, known, total

    def by_request(self, request_id: str) -> tuple[Sample, int] | None:
        """The sample that a request added, and the number of all; None when it has added none."""
        with self._reading() as rows:
            known = rows.by_request(request_id)
            return None if known is None else (known, rows.count())

    def list(
        self, chosen: SampleFilter, offset: int, limit: int, with_drawings: bool = False
    ) -> tuple[list[Sample], int]:
        """A page of samples, newest first, and how many pass the filter in all.

        With drawings it may hold fewer than `limit`: it ends when these are 16 MiB together.
        """
        page: list[Sample] = []
        page_bytes = 0
        with self._reading() as rows:
            total = rows.matching(chosen)
            for sample in rows.select(chosen, offset, limit, with_drawings):
                page_bytes += len(sample.drawing or b"")
                if page and page_bytes > MAX_PAGE_BYTES:
                    break
                page.append(sample)
        return page, total

    @contextmanager
    def all_of(self, chosen: SampleFilter = ALL) -> Iterator[Iterator[Sample]]:
        """All samples that pass a filter with their drawings, newest first, read one by one.

        They are as they were at one instant, whatever is changed meanwhile.
        """
        with self._reading() as rows:
            yield rows.select(chosen, with_drawings=True)

    def relabel(self, sample_id: str, label: int) -> Sample:
        """Say anew which digit a sample is. Raises SampleNotFound."""
        with self._writing, begin_durably(self._database) as connection:
            rows = Rows(connection)
            rows.relabel(sample_id, label)
            sample = rows.get(sample_id)
        if sample is None:
            raise SampleNotFound(sample_id)
        return sample

    def delete(self, sample_id: str) -> None:
        """Forget a sample. Raises SampleNotFound."""
        with self._writing, begin_durably(self._database) as connection:
            is_gone = Rows(connection).delete(sample_id)
        if not is_gone:
            raise SampleNotFound(sample_id)

    def training_set(self) -> SampleSet:
        """What a run trains on now: neither what is kept aside nor any test digit.

        Raises DataPreparing, DatasetUnavailable: without the digits nothing tells samples from test digits.
        """
        self._kept_out.wait(KEPT_OUT_TIMEOUT_S)
        return self._set(SampleUse.TRAINING)

    def held_out(self) -> SampleSet:
        """What is kept aside; empty while there are fewer than 100 samples."""
        return self._set(SampleUse.HELD_OUT)

    def measurable(self) -> SampleSet:
        """What measures versions, each on what it was not trained on: see `read_honestly`."""
        return self._set(SampleUse.TRAINING, SampleUse.HELD_OUT)

    def counts(self) -> dict[SampleUse, int]:
        """How many samples are used for what."""
        with self._reading() as rows:
            return {use: rows.matching(SampleFilter(use=use)) for use in SampleUse}

    def read_honestly(
        self, version: int, samples: SampleSet, is_wanted: Callable[[], bool] = lambda: True
    ) -> HonestReadings:
        """What a version reads in samples, by a model that has not seen them (`server.samples.accuracy`).

        `is_wanted` is asked now and then whether to go on. Raises ModelNotFound, ModelCorrupt, ShuttingDown.
        """
        return self._reader.read_honestly(version, samples, is_wanted)

    def accuracies(
        self, versions: Sequence[int], is_wanted: Callable[[], bool] = lambda: True
    ) -> Sequence[SampleAccuracy]:
        """How well versions read the samples, each those that it can honestly be measured on.

        Raises what `read_honestly` does.
        """
        samples = self.measurable()
        return [
            measure_honestly(version, samples, self.read_honestly(version, samples, is_wanted))
            for version in versions
        ]

    def close(self) -> None:
        """End what works in the background."""
        self._kept_out.close()
        self._reader.close()

    def _is_test_digit(self, sample: NewSample) -> bool:
        """Whether it equals one that is known; `_exclude` marks the others, always after this."""
        known: Collection[str] = self._kept_out.known or ()
        return any(one in known for one in sample.fingerprints)

    def _exclude(self) -> None:
        """Mark the samples that equal test digits: those were not known when they were added."""
        with self._writing, begin_durably(self._database) as connection:
            excluded = Rows(connection).exclude(self._kept_out.known or ())
        if excluded:
            log.info("samples excluded", extra={"samples": excluded, "reason": "they equal test digits"})

    def _set(self, *uses: SampleUse) -> SampleSet:
        with self._reading() as rows:
            return sample_set(rows.arrays(*uses))

    @contextmanager
    def _reading(self) -> Iterator[Rows]:
        """The rows as they are at one instant."""
        with self._database.begin() as connection:
            if self._database.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            yield Rows(connection)


def _refuse_too_many(kept: int) -> None:
    """Whether there is room for one more. Raises SamplesFull."""
    if kept >= MAX_SAMPLES:
        raise SamplesFull(kept, MAX_SAMPLES)
