"""TLS and client certificates over live channels, and what a server needs before others may reach it."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.config import InvalidSetting, read_config
from server.rpc.security import tell_who_may_call


def check(channel: grpc.Channel) -> int:
    with channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return int(stub.Check(health_pb2.HealthCheckRequest(), timeout=60).status)


def trusting(ca: Path, own: Any = None) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=ca.read_bytes(),
        private_key=own.key.read_bytes() if own else None,
        certificate_chain=own.certificate.read_bytes() if own else None,
    )


@pytest.fixture(scope="module")
def encrypted(launch_server: Any, tls_settings: dict[str, str], tokens_file: Path) -> Any:
    """A server with a certificate, with tokens and with metrics."""
    settings = {**tls_settings, "DIGITS_TOKENS_FILE": str(tokens_file), "DIGITS_METRICS_PORT": "0"}
    return launch_server(DIGITS_MNIST="", **settings)


@pytest.fixture(scope="module")
def mutual(launch_server: Any, tls_settings: dict[str, str], authority: Any) -> Any:
    """A server that asks its clients for certificates."""
    return launch_server(DIGITS_MNIST="", DIGITS_TLS_CLIENT_CA=str(authority.certificate), **tls_settings)


def test_a_client_that_trusts_the_authority_is_served(encrypted: Any, authority: Any) -> None:
    channel = grpc.secure_channel(encrypted.address, trusting(authority.certificate))
    assert check(channel) == health_pb2.HealthCheckResponse.SERVING


def test_a_client_that_trusts_another_authority_does_not_talk_to_it(encrypted: Any, stranger: Any) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        check(grpc.secure_channel(encrypted.address, trusting(stranger.certificate)))
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_client_without_encryption_is_not_served(encrypted: Any) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        check(grpc.insecure_channel(encrypted.address))
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_token_goes_over_the_encrypted_channel_as_call_credentials_too(
    encrypted: Any, authority: Any, tokens: dict[str, str]
) -> None:
    credentials = grpc.composite_channel_credentials(
        trusting(authority.certificate), grpc.access_token_call_credentials(tokens["predict"])
    )
    with grpc.secure_channel(encrypted.address, credentials) as channel:
        answer = channel.unary_unary("/digits.v1.ModelService/GetModel")(b"", timeout=60)
    assert answer


def test_the_metrics_are_encrypted_by_the_same_certificate(
    encrypted: Any, authority: Any, tokens: dict[str, str]
) -> None:
    port = encrypted.event("serving")["metrics_port"]
    request = urllib.request.Request(f"https://localhost:{port}/metrics")
    request.add_header("Authorization", f"Bearer {tokens['predict']}")
    handlers = [
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority.certificate)),
    ]
    with urllib.request.build_opener(*handlers).open(request, timeout=60) as answer:
        assert b"digits_model_version 1.0" in answer.read()


def test_a_client_with_a_certificate_of_the_authority_is_served(
    mutual: Any, authority: Any, client_pair: Any
) -> None:
    channel = grpc.secure_channel(mutual.address, trusting(authority.certificate, client_pair))
    assert check(channel) == health_pb2.HealthCheckResponse.SERVING


def test_a_client_without_a_certificate_or_with_a_strange_one_is_not_served(
    mutual: Any, authority: Any, stranger: Any
) -> None:
    for own in (None, stranger.issue("mallory")):
        with pytest.raises(grpc.RpcError) as raised:
            check(grpc.secure_channel(mutual.address, trusting(authority.certificate, own)))
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("name", ["encrypted", "mutual"])
def test_the_health_check_program_takes_the_settings_of_the_server(
    request: pytest.FixtureRequest, tls_settings: dict[str, str], name: str
) -> None:
    server = request.getfixturevalue(name)
    command = [sys.executable, "-m", "server.healthcheck", server.address]
    environment = os.environ | tls_settings
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, f"{server.address}: SERVING\n")


def test_the_log_tells_what_guards_the_port(encrypted: Any, mutual: Any, live_server: Any) -> None:
    both = encrypted.event("guarded")
    assert (both["tls"], both["tokens"], both["client_certificates"]) == (True, True, False)
    assert mutual.event("guarded")["client_certificates"] is True
    assert live_server.event("open on loopback")["tokens"] is False


def test_an_address_that_others_reach_needs_a_certificate_and_tokens(
    tls_settings: dict[str, str], tokens_file: Path
) -> None:
    tokens = {"DIGITS_TOKENS_FILE": str(tokens_file)}
    for host in ("0.0.0.0", "::", "192.0.2.7", "server.example"):
        for guards in ({}, tls_settings, tokens):
            with pytest.raises(InvalidSetting, match=r"^DIGITS_HOST: .* which others reach: that needs"):
                read_config({"DIGITS_HOST": host, **guards})
        assert not read_config({"DIGITS_HOST": host, **tls_settings, **tokens}).is_exposed
        assert read_config({"DIGITS_HOST": host, "DIGITS_INSECURE": "1"}).is_exposed


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_nothing_is_needed(host: str) -> None:
    assert not read_config({"DIGITS_HOST": host}).is_exposed


def test_a_server_that_others_reach_does_not_start_unguarded(
    bare_environment: dict[str, str], tmp_path: Path
) -> None:
    environment = bare_environment | {"DIGITS_HOST": "0.0.0.0", "DIGITS_DATA": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", "server"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("digits: DIGITS_HOST: expected this machine's own address")
    assert "DIGITS_INSECURE=1" in ended.stderr


def test_the_flag_for_a_trusted_network_is_said_at_start(caplog: pytest.LogCaptureFixture) -> None:
    tell_who_may_call(read_config({"DIGITS_HOST": "0.0.0.0", "DIGITS_INSECURE": "1"}))
    (told,) = caplog.records
    assert told.levelname == "WARNING"
    assert told.getMessage() == "open to others: DIGITS_INSECURE is set"


def test_bad_files_are_refused_by_name(
    server_pair: Any, client_pair: Any, stranger: Any, tmp_path: Path, secret_file: Any
) -> None:
    certificate, key = str(server_pair.certificate), str(server_pair.key)
    text = str(secret_file(tmp_path / "text", b"not PEM"))
    cases = [
        ({"DIGITS_TLS_CERT": certificate}, "DIGITS_TLS_KEY: expected the path of a PEM file"),
        ({"DIGITS_TLS_KEY": key}, "DIGITS_TLS_CERT: expected the path of a PEM file"),
        ({"DIGITS_TLS_CLIENT_CA": certificate}, "DIGITS_TLS_CERT: expected the path of a PEM file"),
        ({"DIGITS_TLS_CERT": "/nowhere", "DIGITS_TLS_KEY": key}, "'/nowhere' (No such file or directory)"),
        ({"DIGITS_TLS_CERT": text, "DIGITS_TLS_KEY": key}, "which do not belong together or are neither"),
        (
            {"DIGITS_TLS_CERT": certificate, "DIGITS_TLS_KEY": str(client_pair.key)},
            "which do not belong together or are neither",
        ),
        (
            {"DIGITS_TLS_CERT": certificate, "DIGITS_TLS_KEY": key, "DIGITS_TLS_CLIENT_CA": text},
            "expected PEM certificates of authorities",
        ),
    ]
    for settings, expected in cases:
        with pytest.raises(InvalidSetting) as refused:
            read_config(settings)
        assert str(refused.value).startswith("DIGITS_TLS_"), settings
        assert expected in str(refused.value), settings


def test_a_key_that_others_can_read_is_refused(authority: Any) -> None:
    pair = authority.issue("careless")
    pair.key.chmod(0o644)
    with pytest.raises(InvalidSetting, match="expected a file that others cannot read"):
        read_config({"DIGITS_TLS_CERT": str(pair.certificate), "DIGITS_TLS_KEY": str(pair.key)})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "expected lines of `predict <token>` or `train <token>`, got none"),
        (b"# nobody\n", "expected lines of `predict <token>` or `train <token>`, got none"),
        (b"admin 0123456789abcdef0123\n", "expected `predict <token>` or `train <token>` in line 1"),
        (b"\npredict\n", "expected `predict <token>` or `train <token>` in line 2"),
        (b"predict a b\n", "expected `predict <token>` or `train <token>` in line 1"),
        (b"predict short\n", "expected a token of 16 to 512 letters, digits"),
        (b"predict 0123456789abcdef\ntrain 0123456789abcdef\n", "expected every token once"),
    ],
)
def test_a_bad_file_of_tokens_is_refused_and_no_token_is_told(
    tmp_path: Path, secret_file: Any, content: bytes, expected: str
) -> None:
    path = secret_file(tmp_path / "tokens", content)
    with pytest.raises(InvalidSetting) as refused:
        read_config({"DIGITS_TOKENS_FILE": str(path)})
    assert str(refused.value).startswith(f"DIGITS_TOKENS_FILE: {expected}")
    assert "0123456789abcdef" not in str(refused.value)


def test_a_file_of_tokens_that_others_can_read_or_that_is_not_there_is_refused(
    tmp_path: Path, secret_file: Any
) -> None:
    path = secret_file(tmp_path / "tokens", b"predict 0123456789abcdef\n")
    path.chmod(0o604)
    with pytest.raises(InvalidSetting, match="DIGITS_TOKENS_FILE: expected a file that others cannot read"):
        read_config({"DIGITS_TOKENS_FILE": str(path)})
    with pytest.raises(InvalidSetting, match="DIGITS_TOKENS_FILE: expected a file that can be read"):
        read_config({"DIGITS_TOKENS_FILE": "/nowhere"})


def test_no_secret_is_in_what_the_settings_say_of_themselves(
    tls_settings: dict[str, str], server_pair: Any, tokens_file: Path, tokens: dict[str, str]
) -> None:
    said = repr(read_config({**tls_settings, "DIGITS_TOKENS_FILE": str(tokens_file)}))
    assert server_pair.key.read_text().splitlines()[1] not in said
    assert [token for token in tokens.values() if token in said] == []
