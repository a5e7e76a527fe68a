"""The client of the pages: a visitor is told at once when there is no server."""

from __future__ import annotations

import pytest
from digits.client import Environment, ServerUnavailable

from frontend.client import connect


def test_a_page_does_not_wait_for_a_lost_server(dead_address: str) -> None:
    with connect(Environment(dead_address, "", None)) as client, pytest.raises(ServerUnavailable) as away:
        client.predict(b"image")

    # Refused, not waited for until a deadline.
    assert not away.value.is_slow
