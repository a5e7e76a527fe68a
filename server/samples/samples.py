"""The samples of a data directory: added, listed, changed, forgotten, and handed out as sets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine as Database

from server.database import begin_durably, begin_reading
from server.datasets import DataPreparation
from server.errors import SampleNotFound, SamplesFull
from server.models import ModelStore
from server.samples.accuracy import HonestReader, HonestReadings, SampleAccuracy, measure_honestly
from server.samples.incoming import Incoming, clean_incoming
from server.samples.kept_out import KeptOut
from server.samples.room import DEFAULT_MIB, Room
from server.samples.sample import ALL, NewSample, Sample, SampleFilter, SampleUse
from server.samples.sets import SampleSet, sample_set
from server.samples.table import Rows, new_row

log = logging.getLogger(__name__)

MAX_SAMPLES = 100_000
# Drawings in one page of a list: a message has its limits, and so has the memory of who asks.
MAX_PAGE_BYTES = 16 * 2**20
# What the test digits may take to be known; a second, on a quiet machine.
KEPT_OUT_TIMEOUT_S = 60.0


class Samples:
    """People's own labelled drawings. May be used from any thread."""

    def __init__(
        self,
        database: Database,
        store: ModelStore,
        data: DataPreparation,
        folder: Path,
        limit_mib: int = DEFAULT_MIB,
    ) -> None:
        """Take up the samples in `database`. `folder` is theirs, for what can be found again.

        `limit_mib`: how many MiB of drawings are kept at most.
        """
        self._database = database
        self._folder = folder
        clean_incoming(self.folder)
        self._reader = HonestReader(store)
        # Between a count and what follows from it nothing comes in.
        self._writing = threading.Lock()
        self._room = Room(limit_mib)
        self._kept_out = KeptOut(data, folder, self._exclude)

    @property
    def folder(self) -> Path:
        """Theirs, on the disk of the data, for what is there for a moment; made anew when it is gone."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def add(self, sample: NewSample, request_id: str | None = None) -> tuple[Sample, int]:
        """Keep a drawing; it outlasts a power cut when this returns. Gives it and the number of all.

        The same `request_id` gives the same sample. Raises SamplesFull.
        """
        with self._writing:
            with begin_durably(self._database) as connection:
                rows = Rows(connection)
                if request_id and (known := rows.by_request(request_id)):
                    return known, rows.count()
                _refuse_too_many(rows.count(), 1)
                self._room.refuse_beyond(rows, len(sample.drawing))
                row = new_row(sample, _is_one_of(sample, self._kept_out.known or ()), request_id)
                rows.insert([row])
                kept, total = rows.get(row["id"]), rows.count()
            self._room.changed(len(sample.drawing))
        assert kept is not None
        log.info("sample added", extra={"sample_id": kept.sample_id, "samples": total})
        return kept, total

    def add_all(self, samples: Iterator[NewSample]) -> tuple[int, int, int]:
        """Keep many drawings, or none when that raises: how many were added, were here already, and are here.

        One is here already when another has its pixels and its label. Raises SamplesFull, and what `samples`
        raises.
        """
        test_digits = self._kept_out.known
        with Incoming(self.folder) as incoming:
            for sample in samples:
                incoming.add(new_row(sample, _is_one_of(sample, test_digits or ())))
            with self._writing:
                with begin_durably(self._database) as connection:
                    incoming.attach(connection)
                    rows = Rows(connection)
                    kept = rows.count()
                    added, more = incoming.new(connection)
                    _refuse_too_many(kept, added)
                    self._room.refuse_beyond(rows, more)
                    incoming.take_in(connection)
                    # They may have become known meanwhile, and marked only what was here by then.
                    if self._kept_out.known is not test_digits:
                        rows.exclude(self._kept_out.known or ())
                self._room.changed(more)
        known, total = incoming.given - added, kept + added
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
        with self._writing:
            with begin_durably(self._database) as connection:
                freed = Rows(connection).delete(sample_id)
            if freed is None:
                raise SampleNotFound(sample_id)
            self._room.changed(-freed)

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

    def _exclude(self, test_digits: Collection[str]) -> None:
        """Mark the samples that equal test digits: those were not known when they were added."""
        with self._writing, begin_durably(self._database) as connection:
            excluded = Rows(connection).exclude(test_digits)
        if excluded:
            log.info("samples excluded", extra={"samples": excluded, "reason": "they equal test digits"})

    def _set(self, *uses: SampleUse) -> SampleSet:
        with self._reading() as rows:
            return sample_set(rows.arrays(*uses))

    @contextmanager
    def _reading(self) -> Iterator[Rows]:
        """The rows as they are at one instant."""
        with begin_reading(self._database) as connection:
            yield Rows(connection)


def _is_one_of(sample: NewSample, test_digits: Collection[str]) -> bool:
    """Whether it equals a known test digit; `Samples._exclude` marks the others, always after this."""
    return any(one in test_digits for one in sample.fingerprints)


def _refuse_too_many(kept: int, more: int) -> None:
    """Whether there is room for so many more. Raises SamplesFull."""
    if kept + more > MAX_SAMPLES:
        raise SamplesFull(kept, MAX_SAMPLES)
