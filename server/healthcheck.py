"""Ask a running server whether it serves: `python -m server.healthcheck [host:port]`.

For container health checks and start scripts: a program of its own that shares the port and the settings of
the server. Health needs no token. Where the server has a certificate, it is taken for what it is: this asks
whether the server serves, not whether it is the right one. A server that asks for certificates is shown that
of DIGITS_TLS_CLIENT_CERT and DIGITS_TLS_CLIENT_KEY, or without these the server's own.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

DEADLINE_S = 3.0
# The way to a neighbour never goes through the environment's proxy.
OPTIONS = [("grpc.enable_http_proxy", 0)]


def main() -> int:
    """Say the status and return the exit code: 0 for SERVING, 1 for anything else, silence included."""
    here = f"127.0.0.1:{os.environ.get('DIGITS_PORT', '50051')}"
    address = sys.argv[1] if len(sys.argv) > 1 else here
    try:
        channel = _channel(address)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{address}: UNAVAILABLE ({error})\n")
        return 1
    with channel:
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


def _channel(address: str) -> grpc.Channel:
    """A channel as the server's settings ask for. Raises OSError when nobody answers there."""
    certificate, key = os.environ.get("DIGITS_TLS_CERT"), os.environ.get("DIGITS_TLS_KEY")
    if not certificate or not key:
        return grpc.insecure_channel(address, options=OPTIONS)
    own = _file("DIGITS_TLS_CLIENT_CERT", certificate), _file("DIGITS_TLS_CLIENT_KEY", key)
    name = _name(address, certificate)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=Path(certificate).read_bytes(),
        certificate_chain=own[0].read_bytes(),
        private_key=own[1].read_bytes(),
    )
    return grpc.secure_channel(address, credentials, [*OPTIONS, ("grpc.ssl_target_name_override", name)])


def _file(setting: str, otherwise: str) -> Path:
    return Path(os.environ.get(setting) or otherwise).expanduser()


def _name(address: str, certificate: str) -> str:
    """A name that the server's certificate is for: gRPC insists on one, and this machine has many."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # The certificate itself is trusted here, whoever has signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host.strip("[]"), int(port)), timeout=DEADLINE_S) as plain,
        context.wrap_socket(plain) as encrypted,
    ):
        shown: Any = encrypted.getpeercert() or {}
    names = [str(value) for kind, value in shown.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    if not names:
        raise ValueError("the server's certificate is for no name: it needs a subjectAltName")
    return names[0].replace("*", "any")


if __name__ == "__main__":
    sys.exit(main())
