"""Samples as rows of the database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    false,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from server.database import samples as table
from server.samples.sample import (
    SIDE,
    NewSample,
    Sample,
    SampleFilter,
    SampleSource,
    SampleUse,
    is_aside,
    new_id,
)

# From so many on, one in five is kept aside; fewer would be too few to train on and to measure with.
ENOUGH = 100
# Rows that are changed in one statement.
TOGETHER = 500
# Rows with their drawings that memory holds at once.
FETCHED = 16

COLUMNS = tuple(column for column in table.c if column.name not in ("drawing", "fingerprints", "request_id"))

Condition = ColumnElement[bool]


class Rows:
    """The samples within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def count(self, *conditions: Condition) -> int:
        """How many there are in all."""
        query = select(func.count()).select_from(table).where(*conditions)
        return int(self._connection.execute(query).scalar_one())

    def drawing_bytes(self, *conditions: Condition) -> int:
        """How many bytes the drawings are, all or those under a condition."""
        query = select(func.coalesce(func.sum(func.length(table.c.drawing)), 0)).where(*conditions)
        return int(self._connection.execute(query).scalar_one())

    def insert(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows that `new_row` made, one or more."""
        self._connection.execute(insert(table), rows)

    def get(self, sample_id: str) -> Sample | None:
        """A sample by its id."""
        return self._first(table.c.id == sample_id)

    def by_request(self, request_id: str) -> Sample | None:
        """The sample that a request added."""
        return self._first(table.c.request_id == request_id)

    def matching(self, chosen: SampleFilter) -> int:
        """How many samples pass a filter."""
        return self.count(*self._conditions(chosen))

    def select(
        self, chosen: SampleFilter, offset: int = 0, limit: int | None = None, with_drawings: bool = False
    ) -> Iterator[Sample]:
        """Samples that pass a filter, newest first, read one by one."""
        columns = (*COLUMNS, table.c.drawing) if with_drawings else COLUMNS
        query = select(*columns).where(*self._conditions(chosen)).order_by(table.c.number.desc())
        is_enough = self._is_enough()
        # PostgreSQL would send all of them at once.
        at_a_time = {"yield_per": FETCHED} if with_drawings else {}
        rows = self._connection.execute(query.offset(offset).limit(limit), execution_options=at_a_time)
        for row in rows:
            yield _to_sample(row, is_enough)

    def relabel(self, sample_id: str, label: int) -> bool:
        """Change a label. False when there is no such sample."""
        values = {"label": label, "updated": datetime.now(UTC)}
        changed = self._connection.execute(update(table).where(table.c.id == sample_id).values(values))
        return changed.rowcount > 0

    def delete(self, sample_id: str) -> int | None:
        """Forget a sample: how many bytes its drawing was. None when there is none."""
        freed = self.drawing_bytes(table.c.id == sample_id)
        gone = self._connection.execute(delete(table).where(table.c.id == sample_id)).rowcount
        return freed if gone else None

    def arrays(self, *uses: SampleUse) -> Sequence[tuple[str, bytes, int]]:
        """Id, pixels and label of all samples that are used so, in the order in which they were added."""
        is_enough = self._is_enough()
        query = (
            select(table.c.id, table.c.pixels, table.c.label)
            .where(or_(*(_is_used_for(use, is_enough) for use in uses)))
            .order_by(table.c.number)
        )
        return [(row.id, row.pixels, row.label) for row in self._connection.execute(query)]

    def exclude(self, test_digits: Collection[str]) -> int:
        """Mark what equals one of these fingerprints, and return how many were not marked before.

        A mark is never taken away: other digits on this machine do not make a test digit none.
        """
        query = select(table.c.number, table.c.fingerprints).where(not_(table.c.is_test_digit))
        found = [
            row.number
            for row in self._connection.execute(query)
            if any(fingerprint in test_digits for fingerprint in row.fingerprints)
        ]
        for start in range(0, len(found), TOGETHER):
            chosen = table.c.number.in_(found[start : start + TOGETHER])
            self._connection.execute(update(table).where(chosen).values(is_test_digit=True))
        return len(found)

    def _first(self, condition: Condition) -> Sample | None:
        row = self._connection.execute(select(*COLUMNS).where(condition)).first()
        return None if row is None else _to_sample(row, self._is_enough())

    def _is_enough(self) -> bool:
        """Whether there are so many samples that some are kept aside."""
        # No more are counted than it takes: this comes with every look at a sample.
        some = select(table.c.number).where(not_(table.c.is_test_digit)).limit(ENOUGH).subquery()
        query = select(func.count()).select_from(some)
        return int(self._connection.execute(query).scalar_one()) >= ENOUGH

    def _conditions(self, chosen: SampleFilter) -> list[Condition]:
        conditions: list[Condition] = []
        if chosen.label is not None:
            conditions.append(table.c.label == chosen.label)
        if chosen.predicted_digit is not None:
            conditions.append(table.c.predicted_digit == chosen.predicted_digit)
        if chosen.is_misread is not None:
            is_misread = table.c.predicted_digit != table.c.label
            conditions.append(is_misread if chosen.is_misread else not_(is_misread))
        if chosen.source is not None:
            conditions.append(table.c.source == chosen.source)
        if chosen.use is not None:
            conditions.append(_is_used_for(chosen.use, self._is_enough()))
        return conditions


def new_row(sample: NewSample, is_test_digit: bool, request_id: str | None = None) -> dict[str, Any]:
    """A sample that is to be kept, under an id of its own; its `request_id` must be new."""
    return {
        "id": new_id(sample.fingerprints[0]),
        "request_id": request_id,
        "label": sample.label,
        "predicted_digit": sample.predicted_digit,
        "confidence": sample.confidence,
        "model_version": sample.model_version,
        "source": sample.source,
        "created": datetime.now(UTC),
        "is_test_digit": is_test_digit,
        "is_aside": is_aside(sample.fingerprints[0]),
        "pixels_sha256": sample.fingerprints[0],
        "fingerprints": list(sample.fingerprints),
        "pixels": sample.pixels.tobytes(),
        "drawing": sample.drawing,
    }


def _is_used_for(use: SampleUse, is_enough: bool) -> Condition:
    """The condition that `_use` is about, for the database."""
    if use is SampleUse.EXCLUDED:
        return table.c.is_test_digit
    is_kept_aside = table.c.is_aside if is_enough else false()
    is_used = is_kept_aside if use is SampleUse.HELD_OUT else not_(is_kept_aside)
    return and_(not_(table.c.is_test_digit), is_used)


def _use(is_test_digit: bool, is_aside: bool, is_enough: bool) -> SampleUse:
    if is_test_digit:
        return SampleUse.EXCLUDED
    return SampleUse.HELD_OUT if is_aside and is_enough else SampleUse.TRAINING


def _to_sample(row: Row[Any], is_enough: bool) -> Sample:
    return Sample(
        sample_id=row.id,
        label=row.label,
        pixels=np.frombuffer(row.pixels, np.uint8).reshape(SIDE, SIDE),
        predicted_digit=row.predicted_digit,
        confidence=row.confidence,
        model_version=row.model_version,
        created=row.created,
        updated=row.updated,
        source=SampleSource(row.source),
        use=_use(row.is_test_digit, row.is_aside, is_enough),
        drawing=row._mapping.get("drawing"),
    )
