"""A servicer that does nothing, with the settings of the real server and answers of the same size.

    python tests/benchmarks/null_server.py

Prints its port. Ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys

import grpc
import uvloop
from digits.v1 import prediction_pb2 as pb
from digits.v1 import prediction_pb2_grpc

from server.config import read_config
from server.rpc.options import server_options

ANSWER = pb.PredictResponse(
    prediction=pb.Prediction(
        digit=3, confidence=0.9, probabilities=[0.1] * 10, model_input=bytes(range(196)) * 4
    ),
    model_version=1,
    timings=pb.Timings(preprocess_ms=0.01, queue_ms=0.01, engine_ms=0.1, total_ms=0.2),
)


class Nothing(prediction_pb2_grpc.PredictionServiceServicer):
    """Answers every image alike."""

    async def Predict(self, request: pb.PredictRequest, context: object) -> pb.PredictResponse:
        """Do nothing."""
        return ANSWER


async def main() -> None:
    server = grpc.aio.server(options=server_options(read_config({})))
    prediction_pb2_grpc.add_PredictionServiceServicer_to_server(Nothing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
