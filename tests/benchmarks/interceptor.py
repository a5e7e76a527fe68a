"""What the interceptor adds to a call: a servicer that does nothing, with and without it, side by side.

    python tests/benchmarks/interceptor.py [--calls N]

Each kind of server answers in turn, many short rounds, from a process of its own; a client asks one at a
time. What is compared is processor time, of the round that took the least: others here hardly count.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from pathlib import Path

import grpc
import uvloop
from digits.v1 import prediction_pb2 as pb
from digits.v1 import prediction_pb2_grpc
from null_server import Nothing

from server.admission import Admission
from server.config import read_config
from server.counters import CallCounters
from server.credentials import Role, Tokens
from server.rpc.access import Access
from server.rpc.backlog import Backlog
from server.rpc.interceptors import CallInterceptor
from server.rpc.options import server_options

TOKEN = "0123456789abcdef0123456789abcdef"
PREDICT = "/digits.v1.PredictionService/Predict"
KINDS = ("none", "bare", "tokens", "metrics", "both")
REQUEST = pb.PredictRequest(image=pb.Image(pixels=bytes(200) + bytes([255] * 200) + bytes(384)))


def interceptors(kind: str) -> list[CallInterceptor]:
    """None at all, or that of the server with nothing, tokens, metrics or both switched on."""
    if kind == "none":
        return []
    backlog = Backlog()
    return [
        CallInterceptor(
            backlog,
            Admission(backlog.waiting),
            frozenset([PREDICT]),
            Access(Tokens({TOKEN: Role.PREDICT})) if kind in ("tokens", "both") else None,
            CallCounters() if kind in ("metrics", "both") else None,
        )
    ]


async def serve(kind: str) -> None:
    """Answer until standard input ends."""
    server = grpc.aio.server(interceptors=interceptors(kind), options=server_options(read_config({})))
    prediction_pb2_grpc.add_PredictionServiceServicer_to_server(Nothing(), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


def call(port: int, calls: int, metadata: tuple[tuple[str, str], ...]) -> None:
    """Ask one at a time."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        predict = prediction_pb2_grpc.PredictionServiceStub(channel).Predict
        for _ in range(calls):
            assert predict(REQUEST, metadata=metadata, timeout=10).model_version == 1


def processor_s(pid: int) -> float:
    """Seconds of processor time so far, of all threads, to the microsecond. Linux counts it so."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description="What the interceptor adds to a call.")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--serve", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(options.serve))
        return
    servers = {
        kind: subprocess.Popen(
            [sys.executable, __file__, "--serve", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for kind in KINDS
    }
    ports = {kind: int(server.stdout.readline()) for kind, server in servers.items() if server.stdout}
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(options.rounds):
        for kind in KINDS:
            metadata = (("authorization", f"Bearer {TOKEN}"),) if kind in ("tokens", "both") else ()
            before = processor_s(servers[kind].pid)
            call(ports[kind], options.calls, metadata)
            taken[kind].append((processor_s(servers[kind].pid) - before) / options.calls * 1e6)
    for server in servers.values():
        server.communicate("")
    print(f"{'interceptor':<12}{'a call':>10}{'added':>10}")
    for kind, found in taken.items():
        added = min(found) - min(taken["none"])
        print(f"{kind:<12}{min(found):>7.0f} µs{added:>7.0f} µs")


if __name__ == "__main__":
    main()
