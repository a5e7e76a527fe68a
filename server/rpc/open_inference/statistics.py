"""What was inferred through the protocol since the server started, by version."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field

from digits.oip import open_inference_pb2 as pb

from server.rpc.open_inference.model import NAME


@dataclass
class _Total:
    count: int = 0
    ns: int = 0

    def add(self, ns: int) -> None:
        self.count += 1
        self.ns += ns

    def message(self) -> pb.StatisticDuration:
        return pb.StatisticDuration(count=self.count, ns=self.ns)


@dataclass
class _Version:
    last_ms: int = 0
    images: int = 0
    success: _Total = field(default_factory=_Total)
    fail: _Total = field(default_factory=_Total)
    queue: _Total = field(default_factory=_Total)
    read: _Total = field(default_factory=_Total)
    infer: _Total = field(default_factory=_Total)
    write: _Total = field(default_factory=_Total)
    by_rows: dict[int, tuple[_Total, _Total, _Total]] = field(
        default_factory=lambda: defaultdict(lambda: (_Total(), _Total(), _Total()))
    )


class Statistics:
    """Counts requests. Use it from one event loop."""

    def __init__(self) -> None:
        self._versions: dict[int, _Version] = defaultdict(_Version)

    def answered(
        self, version: int, rows: int, queue_ns: int, engine_ns: int, times: tuple[int, int, int, int]
    ) -> None:
        """Count a request that was answered; `times`: when it came, was read, was inferred and was written,
        in nanoseconds of `time.perf_counter_ns`.
        """
        came, read, inferred, written = times
        total = self._versions[version]
        total.last_ms = time.time_ns() // 1_000_000
        total.images += rows
        total.success.add(written - came)
        total.queue.add(queue_ns)
        total.read.add(read - came)
        total.infer.add(engine_ns)
        total.write.add(written - inferred)
        for each, ns in zip(total.by_rows[rows], (read - came, engine_ns, written - inferred), strict=True):
            each.add(ns)

    def failed(self, version: int, took_ns: int) -> None:
        """Count a request that was refused."""
        self._versions[version].fail.add(took_ns)

    def message(self, version: int) -> pb.ModelStatistics:
        """The numbers of a version, all zero when nothing was asked of it."""
        total = self._versions.get(version, _Version())
        return pb.ModelStatistics(
            name=NAME,
            version=str(version),
            last_inference=total.last_ms,
            inference_count=total.images,
            execution_count=total.success.count,
            inference_stats=pb.InferStatistics(
                success=total.success.message(),
                fail=total.fail.message(),
                queue=total.queue.message(),
                compute_input=total.read.message(),
                compute_infer=total.infer.message(),
                compute_output=total.write.message(),
            ),
            batch_stats=[
                pb.InferBatchStatistics(
                    batch_size=rows,
                    compute_input=read.message(),
                    compute_infer=infer.message(),
                    compute_output=write.message(),
                )
                for rows, (read, infer, write) in sorted(total.by_rows.items())
            ],
        )
