"""A server whose versions misread known digits, and the Mistakes page on it, without a browser."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from digits.client import Client
from digits.client.choices import Dataset
from streamlit.testing.v1 import AppTest

POOR = 2
DEADLINE_S = 60.0


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait for something that takes the server a moment: `until(lambda: …)`."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    return wait


@pytest.fixture(scope="session")
def server(
    launch_server: Callable[..., Any], add_misreading_version: Callable[..., None], until: Callable[..., None]
) -> Any:
    """A server with 1,000 built-in test digits and four versions, of which the first is deployed.

    Version 2 misreads the digits 0 to 249, version 3 none, version 4 those from 0 to 99 and from 250 to 269.
    """
    server = launch_server(DIGITS_MNIST="")
    with Client(server.address) as client:
        until(lambda: not client.list_datasets().data_progress)
    server.stop()
    add_misreading_version(server, range(250))
    add_misreading_version(server, [])
    add_misreading_version(server, [*range(100), *range(250, 270)])
    server.start()
    return server


@pytest.fixture
def client(server: Any) -> Iterator[Client]:
    """A client of the server; the digits that a test marks are unmarked after it."""
    with Client(server.address) as client:
        yield client
        marked = [
            digit.index
            for digit in client.list_likely_label_errors(
                model_version=POOR, dataset=Dataset.BUILTIN_TEST, page_size=1000
            ).digits
            if digit.is_marked_mislabelled
        ]
        for index in marked:
            client.mark_mislabelled(Dataset.BUILTIN_TEST, index, is_mislabelled=False)


@pytest.fixture
def open_mistakes(open_page: Callable[..., AppTest], server: Any) -> Callable[..., AppTest]:
    """Open the page on the poor version, or at an address: `open_mistakes(view="labels")`."""

    def open_one(**query: str) -> AppTest:
        return open_page("mistakes", address=server.address, query={"version": str(POOR)} | query)

    return open_one


@pytest.fixture
def component() -> Callable[[AppTest, str], Any]:
    """What a component of a page was given: `component(page, "digit_gallery")`."""

    def given(page: AppTest, name: str) -> Any:
        (data,) = (
            json.loads(element.proto.json)
            for element in page.get("bidi_component")
            if element.proto.component_name == name
        )
        return data

    return given


@pytest.fixture
def tiles(component: Callable[[AppTest, str], Any]) -> Callable[[AppTest], list[dict[str, Any]]]:
    """The tiles of a page's gallery: `tiles(page)`."""
    return lambda page: list(component(page, "digit_gallery")["tiles"])
