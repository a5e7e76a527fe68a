"""The clients and the page, with tokens and certificates, as their environment tells them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from digits.client import Environment, Refused

from frontend.client import connect


@pytest.fixture(scope="module")
def mutual(launch_server: Any, tls_settings: dict[str, str], tokens_file: Path, authority: Any) -> Any:
    """A server that asks for everything: certificates and tokens."""
    return launch_server(
        DIGITS_MNIST="",
        DIGITS_TLS_CLIENT_CA=str(authority.certificate),
        DIGITS_TOKENS_FILE=str(tokens_file),
        **tls_settings,
    )


def test_the_page_acts_with_its_own_token_and_may_what_its_role_may(
    mutual: Any, authority: Any, client_pair: Any, tokens: dict[str, str], tmp_path: Path, secret_file: Any
) -> None:
    token = secret_file(tmp_path / "token", f"{tokens['predict']}\n".encode())
    environment = Environment.read(
        {
            "DIGITS_SERVER": mutual.address,
            "DIGITS_TOKEN_FILE": str(token),
            "DIGITS_TLS_CA": str(authority.certificate),
            "DIGITS_TLS_CLIENT_CERT": str(client_pair.certificate),
            "DIGITS_TLS_CLIENT_KEY": str(client_pair.key),
        }
    )
    client = connect(environment)
    assert client.get_model().model_version == 1
    with pytest.raises(Refused) as refused:
        client.deploy_model(1)
    client.close()
    assert refused.value.reason == "ROLE_TOO_LOW"
    assert "role train" in refused.value.message
    assert tokens["predict"] not in repr(environment)


def test_without_a_token_the_page_is_told_so(guarded: Any) -> None:
    client = connect(Environment.read({"DIGITS_SERVER": guarded.address}))
    with pytest.raises(Refused) as refused:
        client.get_model()
    client.close()
    assert refused.value.reason == "TOKEN_MISSING"
