"""Archives that were made to harm: names that lead elsewhere, files that unpack to too much, arrays that run.

Each is sent to a server by ImportSamples. It must be refused as what it is, or taken for the harmless archive
that it is; nothing may appear outside the samples' folder, and memory and log stay within bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
from digits.v1 import sample_pb2
from torture_parts import TortureServer, running
from torture_security_checks import Checks, Outcome, call
from torture_security_zips import bombs, tricks

IMPORT = "/digits.v1.SampleService/ImportSamples"
EXPORT = "/digits.v1.SampleService/ExportSamples"
# An archive may unpack to 256 MiB, is held compressed beside that, and decoded a drawing at a time.
MOST_MEMORY_MB = 700
MOST_LOG_BYTES = 64 * 2**10
MOST_S = 120.0


def try_archives(folder: Path, checks: Checks, is_quick: bool) -> None:
    """Send every archive to one server."""
    folder.mkdir()
    outside = folder / "outside"
    outside.mkdir()
    server = TortureServer(folder / "server", DIGITS_MNIST="")
    with running(server), server.channel() as channel:
        before = tree(folder, server)
        for name, archive, may_pass in (*tricks(outside), *(() if is_quick else bombs())):
            reset_peak(server.pid)
            logged = server.written
            found = _send(channel, archive)
            refused = found.code in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED") and bool(found.reason)
            checks.expect(refused or (may_pass and found.code == "OK"), f"archive {name}: {found}")
            checks.expect(
                len(found.text) < 4096, f"archive {name}: a refusal of {len(found.text)} characters"
            )
            checks.expect(
                peak_mb(server.pid) < MOST_MEMORY_MB, f"archive {name}: {peak_mb(server.pid):.0f} MB"
            )
            written = server.written - logged
            checks.expect(written < MOST_LOG_BYTES, f"archive {name}: {written} bytes of log")
            new = tree(folder, server) - before
            checks.expect(not new, f"archive {name}: left {sorted(new)[:5]}")
        checks.expect(not server.faults(), f"archives: faults in the log: {server.faults()[:3]}")
        exported = call(channel, EXPORT, timeout=MOST_S)
        checks.expect(exported.code == "OK", f"after all archives: {exported}")


def _send(channel: grpc.Channel, archive: Callable[[], Iterator[bytes]]) -> Outcome:
    requests = (sample_pb2.ImportSamplesRequest(chunk=part).SerializeToString() for part in archive())
    return call(channel, IMPORT, requests, timeout=MOST_S)


def tree(folder: Path, server: TortureServer) -> set[str]:
    """Every file and link under a folder, but for what a server writes by itself."""
    own = ("digits.db", "test_digits", "datasets", "features", server.log.name)
    return {
        str(path)
        for path in folder.rglob("*")
        if not any(part.startswith(own) for part in path.relative_to(folder).parts)
    }


def reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mb(pid: int) -> float:
    """The most memory since `reset_peak`."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024
