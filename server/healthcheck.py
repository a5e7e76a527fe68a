"""Ask a running server whether it serves: `python -m server.healthcheck [host:port]`.

For container health checks and start scripts: a program of its own that shares only the port with the server.
"""

from __future__ import annotations

import os
import sys

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

DEADLINE_S = 3.0


def main() -> int:
    """Say the status and return the exit code: 0 for SERVING, 1 for anything else, silence included."""
    here = f"127.0.0.1:{os.environ.get('DIGITS_PORT', '50051')}"
    address = sys.argv[1] if len(sys.argv) > 1 else here
    # The way to a neighbour never goes through the environment's proxy.
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            answer = check(HealthCheckRequest(), timeout=DEADLINE_S)
        except grpc.RpcError as error:
            sys.stderr.write(f"{address}: {error.code().name}\n")
            return 1
    sys.stderr.write(f"{address}: {HealthCheckResponse.ServingStatus.Name(answer.status)}\n")
    return 0 if answer.status == HealthCheckResponse.SERVING else 1


if __name__ == "__main__":
    sys.exit(main())
