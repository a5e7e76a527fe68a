"""A servicer that does nothing, the way the real server is reached, and answers of the same size.

    python tests/benchmarks/null_server.py

Prints its port. Ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import uvloop
from digits.v1 import prediction_pb2 as pb
from digits.v1 import prediction_pb2_grpc

from server.config import read_config
from server.rpc.call_queue import Call, CallQueue, Step, make_server, open_queue
from server.rpc.mount import Mount
from server.rpc.options import server_options

PREDICT = "/digits.v1.PredictionService/Predict"
ANSWER = pb.PredictResponse(
    prediction=pb.Prediction(
        digit=3, confidence=0.9, probabilities=[0.1] * 10, model_input=bytes(range(196)) * 4
    ),
    model_version=1,
    timings=pb.Timings(preprocess_ms=0.01, queue_ms=0.01, engine_ms=0.1, total_ms=0.2),
)


class Nothing(prediction_pb2_grpc.PredictionServiceServicer):
    """Answers every image alike, where `grpc.aio` is the way."""

    async def Predict(self, request: pb.PredictRequest, context: object) -> pb.PredictResponse:
        """Do nothing."""
        return ANSWER


class NothingDirect:
    """The same, where calls come from the queue."""

    def came(self, call: Call) -> bool:
        """Have it read."""
        return True

    def was_read(self, call: Call, data: bytes | None) -> None:
        """Read it, do nothing, and write the answer."""
        pb.PredictRequest.FromString(data or b"")
        call.answer(ANSWER.SerializeToString(), ())

    def was_cancelled(self, call: Call) -> None:
        """Do nothing."""


def answer(queue: CallQueue) -> None:
    """Answer calls until the queue is shut down."""
    taker = NothingDirect()
    while queue.step(taker, is_patient=True) is not Step.END:
        continue


async def main() -> None:
    server = make_server((), server_options(read_config({})))
    queue = open_queue(server, (PREDICT,))
    mount: Any = Mount(server, () if queue is None else (PREDICT,))
    prediction_pb2_grpc.add_PredictionServiceServicer_to_server(Nothing(), mount)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    thread = threading.Thread(target=answer, args=(queue,))
    if queue is not None:
        queue.start_taking()
        thread.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)
    if queue is not None:
        queue.shut_down()
        thread.join()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
