"""The Mistakes page in a browser, on a server whose versions misread known digits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from digits.client import Client
from digits.client.choices import Dataset

DEADLINE_S = 120.0


@pytest.fixture(scope="session")
def mistakes_server(launch_server: Callable[..., Any], add_misreading_version: Callable[..., None]) -> Any:
    """A server with 1,000 built-in test digits, of which version 2 misreads the first 250.

    Version 3 misreads the first 100, and 20 others.
    """
    server = launch_server(DIGITS_MNIST="")
    with Client(server.address) as client:
        deadline = time.monotonic() + DEADLINE_S
        while client.list_datasets().data_progress:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    server.stop()
    add_misreading_version(server, range(250))
    add_misreading_version(server, [*range(100), *range(250, 270)])
    server.start()
    with Client(server.address) as client:
        # The first one who asks has the likes of all digits prepared, which takes its time.
        digit = client.list_test_digits(Dataset.BUILTIN_TEST, page_size=1).digits[0]
        deadline = time.monotonic() + DEADLINE_S
        while not client.explain_pixels(digit.pixels, model_version=2, neighbours=1).neighbours:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    return server


@pytest.fixture(scope="session")
def app(mistakes_server: Any, launch_app: Callable[[str], Any]) -> Any:
    """The page on that server."""
    return launch_app(mistakes_server.address)


@pytest.fixture
def client(mistakes_server: Any) -> Iterator[Client]:
    """A client of that server; what a test marks is unmarked after it."""
    with Client(mistakes_server.address) as client:
        yield client
        found = client.list_likely_label_errors(model_version=2, dataset=Dataset.BUILTIN_TEST, page_size=1000)
        for digit in found.digits:
            if digit.is_marked_mislabelled:
                client.mark_mislabelled(Dataset.BUILTIN_TEST, digit.index, is_mislabelled=False)
