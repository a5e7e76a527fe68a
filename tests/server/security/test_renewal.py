"""Tokens and certificates that are replaced while the server runs."""

from __future__ import annotations

import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

PATIENCE_S = 60.0
OLD, NEW = "old-0123456789abcdef", "new-0123456789abcdef"


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def replace(path: Path, content: bytes) -> None:
    """As a careful administrator does: from one file to the next, without a moment in between."""
    beside = path.with_name(path.name + ".new")
    beside.touch(mode=0o600)
    beside.write_bytes(content)
    beside.replace(path)


def code(channel: grpc.Channel, token: str) -> grpc.StatusCode:
    try:
        channel.unary_unary("/digits.v1.ModelService/GetModel")(
            b"", metadata=(("authorization", f"Bearer {token}"),), timeout=60
        )
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_a_token_is_let_in_or_kept_out_soon_after_the_file_says_so(
    launch_server: Any, tmp_path: Path, secret_file: Any
) -> None:
    tokens = secret_file(tmp_path / "tokens", f"train {OLD}\n".encode())
    server = launch_server(DIGITS_MNIST="", DIGITS_TOKENS_FILE=str(tokens))
    with server.channel() as channel:
        assert code(channel, OLD) is grpc.StatusCode.OK
        assert code(channel, NEW) is grpc.StatusCode.UNAUTHENTICATED

        replace(tokens, f"predict {NEW}\n".encode())

        wait_until(lambda: code(channel, NEW) is grpc.StatusCode.OK)
        assert code(channel, OLD) is grpc.StatusCode.UNAUTHENTICATED
    assert server.event("tokens renewed")["tokens"] == 1
    assert NEW not in server.log.read_text()


@pytest.mark.parametrize(
    "content",
    [b"", b"# nobody\n", b"train short\n", None],
    ids=["nothing", "no token", "a token that is none", "open to others"],
)
def test_a_file_that_is_no_good_changes_nothing_and_the_log_says_so(
    launch_server: Any, tmp_path: Path, secret_file: Any, content: bytes | None
) -> None:
    tokens = secret_file(tmp_path / "tokens", f"train {OLD}\n".encode())
    server = launch_server(DIGITS_MNIST="", DIGITS_TOKENS_FILE=str(tokens))
    if content is None:
        beside = secret_file(tmp_path / "others", f"train {NEW}\n".encode())
        beside.chmod(0o644)
        beside.replace(tokens)
    else:
        replace(tokens, content)

    wait_until(lambda: server.event("tokens not renewed") is not None)

    assert str(tokens) in server.event("tokens not renewed")["reason"]
    with server.channel() as channel:
        assert code(channel, OLD) is grpc.StatusCode.OK
        assert code(channel, NEW) is grpc.StatusCode.UNAUTHENTICATED


def is_served(server: Any, authority: Any, own: Any = None) -> bool:
    """Whether who trusts this authority, and shows this certificate, gets an answer on a new connection."""
    credentials = grpc.ssl_channel_credentials(
        authority.certificate.read_bytes(),
        own.key.read_bytes() if own else None,
        own.certificate.read_bytes() if own else None,
    )
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(server.address, credentials, options=options) as channel:
        try:
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
    return True


def metrics_are_served(server: Any, authority: Any) -> bool:
    port = server.event("serving")["metrics_port"]
    handlers = [
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority.certificate)),
    ]
    try:
        urllib.request.build_opener(*handlers).open(f"https://localhost:{port}/metrics", timeout=60).close()
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ssl.SSLError):
            raise
        return False
    return True


def test_a_new_certificate_is_shown_soon_and_who_is_connected_stays_so(
    launch_server: Any, authority: Any, stranger: Any, server_pair: Any, tmp_path: Path, secret_file: Any
) -> None:
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    shutil.copyfile(server_pair.certificate, certificate)
    secret_file(key, server_pair.key.read_bytes())
    server = launch_server(
        DIGITS_MNIST="",
        DIGITS_TLS_CERT=str(certificate),
        DIGITS_TLS_KEY=str(key),
        DIGITS_METRICS_PORT="0",
    )
    assert is_served(server, authority)
    assert not is_served(server, stranger)
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    with grpc.secure_channel(server.address, credentials) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        health.Check(health_pb2.HealthCheckRequest(), timeout=60)

        # First one half, which is no good by itself, and then the other.
        theirs = stranger.issue("server")
        replace(certificate, theirs.certificate.read_bytes())
        wait_until(lambda: server.event("certificate not renewed") is not None)
        assert is_served(server, authority)
        replace(key, theirs.key.read_bytes())

        wait_until(lambda: is_served(server, stranger))
        assert not is_served(server, authority)
        wait_until(lambda: metrics_are_served(server, stranger))
        health.Check(health_pb2.HealthCheckRequest(), timeout=60)


def test_another_authority_of_the_clients_is_believed_soon_and_the_old_one_no_more(
    launch_server: Any, authority: Any, stranger: Any, tls_settings: dict[str, str], tmp_path: Path
) -> None:
    authorities = tmp_path / "clients.pem"
    shutil.copyfile(authority.certificate, authorities)
    server = launch_server(DIGITS_MNIST="", DIGITS_TLS_CLIENT_CA=str(authorities), **tls_settings)
    ours, theirs = authority.issue("ada"), stranger.issue("mallory")
    assert is_served(server, authority, ours)
    assert not is_served(server, authority, theirs)

    replace(authorities, stranger.certificate.read_bytes())

    wait_until(lambda: is_served(server, authority, theirs))
    assert not is_served(server, authority, ours)
    assert not is_served(server, authority)
