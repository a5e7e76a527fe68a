"""TLS, certificates of clients and tokens, by files and settings, against a socket that asks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from digits.client import AsyncClient, Client, Environment, Refused, ServerUnavailable, Tls
from digits.v1 import model_pb2
from live_authority import Authority

PREDICT_TOKEN, TRAIN_TOKEN = "predict-" + 32 * "a", "train-" + 32 * "b"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority whose certificate is `authority.certificate`."""
    return Authority(tmp_path / "authority", "of the test")


@pytest.fixture
def encrypted(stand_in: Any, authority: Authority) -> Callable[..., Any]:
    """`encrypted(asks=True)`: a server with a certificate, that lets only clients with one in."""

    def start(*, asks: bool = False) -> Any:
        files = authority.issue("server")
        credentials = grpc.ssl_server_credentials(
            [(files.key.read_bytes(), files.certificate.read_bytes())],
            root_certificates=authority.certificate.read_bytes() if asks else None,
            require_client_auth=asks,
        )
        return stand_in(
            lambda arrived, context: [model_pb2.GetModelResponse(model={"model_version": 7})], credentials
        )

    return start


def test_a_client_that_knows_the_authority_talks_to_the_server_in_secret(
    encrypted: Any, authority: Authority
) -> None:
    server = encrypted()

    with Client(server.address, tls=Tls(ca=authority.certificate), token="of-the-test") as client:
        assert client.get_model().model_version == 7

    assert server.calls[0].metadata["authorization"] == "Bearer of-the-test"


async def test_so_does_the_one_for_asyncio(encrypted: Any, authority: Authority) -> None:
    async with AsyncClient(encrypted().address, tls=Tls(ca=authority.certificate)) as client:
        assert (await client.get_model()).model_version == 7


def test_a_server_that_nobody_vouches_for_gets_no_token(encrypted: Any) -> None:
    server = encrypted()

    with (
        Client(server.address, tls=Tls(), token="of-the-test", retries=0) as client,
        pytest.raises(ServerUnavailable),
    ):
        client.get_model()

    assert server.calls == []


def test_a_client_shows_its_certificate_to_a_server_that_asks(encrypted: Any, authority: Authority) -> None:
    server = encrypted(asks=True)
    own = authority.issue("client")

    with (
        Client(server.address, tls=Tls(ca=authority.certificate), retries=0) as stranger,
        pytest.raises(ServerUnavailable),
    ):
        stranger.get_model()
    with Client(server.address, tls=Tls(authority.certificate, own.certificate, own.key)) as client:
        assert client.get_model().model_version == 7


def test_a_certificate_without_its_key_is_no_use(authority: Authority) -> None:
    with pytest.raises(ValueError, match="key"):
        Tls(certificate=authority.issue("client").certificate)


def test_a_token_that_is_refused_is_a_refusal_that_can_be_read(stand_in: Any, refuse: Any) -> None:
    def behave(arrived: Any, context: Any) -> Any:
        refuse(context, grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN")

    with (
        Client(stand_in(behave).address, token="of-the-test") as client,
        pytest.raises(Refused) as refusal,
    ):
        client.get_model()

    assert (refusal.value.code, refusal.value.reason) == ("UNAUTHENTICATED", "TOKEN_UNKNOWN")


def test_the_real_server_lets_in_whom_its_settings_name(
    launch_server: Any, authority: Authority, tmp_path: Path, seven_png: bytes
) -> None:
    server, own = authority.issue("server"), authority.issue("client")
    tokens = tmp_path / "tokens"
    tokens.write_text(f"predict {PREDICT_TOKEN}\ntrain {TRAIN_TOKEN}\n")
    tokens.chmod(0o600)
    live = launch_server(
        DIGITS_TLS_CERT=str(server.certificate),
        DIGITS_TLS_KEY=str(server.key),
        DIGITS_TLS_CLIENT_CA=str(authority.certificate),
        DIGITS_TOKENS_FILE=str(tokens),
    )
    tls = Tls(authority.certificate, own.certificate, own.key)

    with Client(live.address, token=PREDICT_TOKEN, tls=tls) as reader:
        assert reader.predict(seven_png).prediction.digit == 7
        with pytest.raises(Refused) as refusal:
            reader.deploy_model(1)
        assert refusal.value.code == "PERMISSION_DENIED"
    with Client(live.address, token=TRAIN_TOKEN, tls=tls) as changer:
        assert changer.deploy_model(1).is_deployed
    with Client(live.address, token="of-nobody", tls=tls) as stranger:
        with pytest.raises(Refused) as refusal:
            stranger.predict(seven_png)
        assert refusal.value.code == "UNAUTHENTICATED"


def test_the_environment_names_the_server_the_token_and_the_files(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("from-a-file\n")

    found = Environment.read(
        {
            "DIGITS_SERVER": "digits:443",
            "DIGITS_TOKEN": "from-the-environment",
            "DIGITS_TOKEN_FILE": str(token),
            "DIGITS_TLS_CA": "ca.pem",
            "DIGITS_TLS_CLIENT_CERT": "client.pem",
            "DIGITS_TLS_CLIENT_KEY": "client.key",
        }
    )

    assert found == Environment(
        "digits:443", "from-a-file", Tls(Path("ca.pem"), Path("client.pem"), Path("client.key"))
    )


def test_an_empty_environment_is_the_server_of_this_machine_in_the_open() -> None:
    assert Environment.read({}) == Environment("127.0.0.1:50051", "", None)


def test_a_token_shows_nowhere() -> None:
    environment = Environment.read({"DIGITS_TOKEN": "of-the-test"})

    with Client(environment.address, token=environment.token) as client:
        assert "of-the-test" not in f"{environment!r} {client!r}"


@pytest.mark.parametrize("token", ["two words", "two\nlines", "schlüssel", "bell\a"])
def test_a_token_that_cannot_be_sent_is_refused_at_once_and_not_shown(token: str) -> None:
    with pytest.raises(ValueError, match="expected a token of one line") as refusal:
        Client("127.0.0.1:1", token=token)
    assert token not in str(refusal.value)


def test_a_token_file_that_is_no_text_is_refused_as_such(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe\x00")
    environment = Environment.read({"DIGITS_TOKEN_FILE": str(tmp_path / "token")})
    with pytest.raises(ValueError, match="expected a token of one line"):
        Client(environment.address, token=environment.token)
