"""What was inferred through the protocol since the server started, by version."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field

from digits.oip import open_inference_pb2 as pb

from server.rpc.open_inference.model import NAME


@dataclass(slots=True)
class _Total:
    """Of all answers with one number of images; times in nanoseconds."""

    count: int = 0
    whole: int = 0
    queue: int = 0
    read: int = 0
    infer: int = 0
    write: int = 0


@dataclass
class _Version:
    last_ms: int = 0
    failed: int = 0
    failed_ns: int = 0
    by_rows: dict[int, _Total] = field(default_factory=lambda: defaultdict(_Total))


class Statistics:
    """Counts requests. May be used from any thread."""

    def __init__(self) -> None:
        self._versions: dict[int, _Version] = defaultdict(_Version)
        self._lock = threading.Lock()

    def answered(
        self, version: int, rows: int, queue_ns: int, engine_ns: int, times: tuple[int, int, int, int]
    ) -> None:
        """Count a request that was answered; `times`: when it came, was read, was inferred and was written,
        in nanoseconds of `time.perf_counter_ns`.
        """
        came, read, inferred, written = times
        with self._lock:
            of_version = self._versions[version]
            of_version.last_ms = time.time_ns() // 1_000_000
            total = of_version.by_rows[rows]
            total.count += 1
            total.whole += written - came
            total.queue += queue_ns
            total.read += read - came
            total.infer += engine_ns
            total.write += written - inferred

    def failed(self, version: int, took_ns: int) -> None:
        """Count a request that was refused."""
        with self._lock:
            of_version = self._versions[version]
            of_version.failed += 1
            of_version.failed_ns += took_ns

    def message(self, version: int) -> pb.ModelStatistics:
        """The numbers of a version, all zero when nothing was asked of it."""
        with self._lock:
            return _message(version, self._versions.get(version, _Version()))


def _message(version: int, found: _Version) -> pb.ModelStatistics:
    totals = found.by_rows.values()
    count = sum(total.count for total in totals)

    def duration(name: str) -> pb.StatisticDuration:
        return pb.StatisticDuration(count=count, ns=sum(getattr(total, name) for total in totals))

    return pb.ModelStatistics(
        name=NAME,
        version=str(version),
        last_inference=found.last_ms,
        inference_count=sum(rows * total.count for rows, total in found.by_rows.items()),
        execution_count=count,
        inference_stats=pb.InferStatistics(
            success=duration("whole"),
            fail=pb.StatisticDuration(count=found.failed, ns=found.failed_ns),
            queue=duration("queue"),
            compute_input=duration("read"),
            compute_infer=duration("infer"),
            compute_output=duration("write"),
        ),
        batch_stats=[
            pb.InferBatchStatistics(
                batch_size=rows,
                compute_input=pb.StatisticDuration(count=total.count, ns=total.read),
                compute_infer=pb.StatisticDuration(count=total.count, ns=total.infer),
                compute_output=pb.StatisticDuration(count=total.count, ns=total.write),
            )
            for rows, total in sorted(found.by_rows.items())
        ],
    )
