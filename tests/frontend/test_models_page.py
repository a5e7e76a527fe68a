"""The Models page: what there is to know of a version, and deploying one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

OpenPage = Callable[..., AppTest]
HtmlOf = Callable[[AppTest], str]


def test_a_version_tells_recipe_data_accuracy_with_interval_date_and_size(
    open_page: OpenPage, html_of: HtmlOf
) -> None:
    html = html_of(open_page("models"))

    assert "<b>Version 1</b>" in html
    assert "95 % interval" in html
    assert "right on the MNIST test set" in html
    assert "parameters" in html
    assert "came with the software" in html
    assert "MNIST, 60,000 training and 10,000 test digits" in html


def test_the_details_hold_options_provenance_and_every_digit(open_page: OpenPage, html_of: HtmlOf) -> None:
    html = html_of(open_page("models"))

    for name in ("Learning rate", "Augmentation", "Data checksum", "Trained on", "Libraries", "Artifact"):
        assert f"<dt>{name}</dt>" in html
    assert html.count("<th scope=row>") == 10


def test_the_deployed_version_has_no_deploy_button(open_page: OpenPage, html_of: HtmlOf) -> None:
    page = open_page("models")

    assert "Deployed</span>" in html_of(page)
    assert not page.button


@pytest.fixture(scope="module")
def server_of_three(launch_server: Callable[..., Any]) -> Any:
    """A server with three versions, alike but for the third, which is damaged; the first is deployed."""
    server = launch_server()
    server.stop()
    models = server.data / "models"
    for name in ("000002", "000003"):
        shutil.copytree(models / "000001", models / name)
    server.start()
    (models / "000003" / "model.onnx").write_bytes(b"damaged")
    return server


def test_deploying_a_version_says_so_and_moves_the_mark(
    open_page: OpenPage, html_of: HtmlOf, server_of_three: Any
) -> None:
    page = open_page("models", address=server_of_three.address)
    assert [button.key for button in page.button] == ["deploy-3", "deploy-2"]

    page.button(key="deploy-2").click().run()

    assert "Version 2 answers from now on." in html_of(page)
    assert [button.key for button in page.button] == ["deploy-3", "deploy-1"]


def test_a_damaged_version_is_not_deployed_and_the_page_says_why(
    open_page: OpenPage, html_of: HtmlOf, server_of_three: Any
) -> None:
    page = open_page("models", address=server_of_three.address)
    before = [button.key for button in page.button]

    page.button(key="deploy-3").click().run()

    assert 'role="alert"' in html_of(page)
    assert [button.key for button in page.button] == before


def test_without_a_server_the_page_says_that_versions_will_come(
    open_page: OpenPage, html_of: HtmlOf, dead_address: str
) -> None:
    page = open_page("models", address=dead_address)

    assert "No versions to show yet" in html_of(page)


def test_versions_seen_before_stay_while_the_server_is_away(
    open_page: OpenPage,
    html_of: HtmlOf,
    dead_address: str,
    monkeypatch: pytest.MonkeyPatch,
    server_of_three: Any,
) -> None:
    page = open_page("models", address=server_of_three.address)

    monkeypatch.setenv("DIGITS_SERVER", dead_address)
    page.run()

    assert "<b>Version 2</b>" in html_of(page)
    assert all(button.disabled for button in page.button)
