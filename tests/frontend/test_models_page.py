"""The Models page: what there is to know of a version, and deploying one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from digits.client import Client
from digits.client.choices import ExportFormat
from streamlit.testing.v1 import AppTest

from server.gate import GateComparison, GateData, GateReport

OpenPage = Callable[..., AppTest]
HtmlOf = Callable[[AppTest], str]


def deploy_buttons(page: AppTest) -> list[str]:
    return [button.key for button in page.button if button.key.startswith("deploy-")]


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
    html = html_of(open_page("models", **{"details-1": True}))

    for name in ("Learning rate", "Augmentation", "Data checksum", "Trained on", "Libraries", "Artifact"):
        assert f"<dt>{name}</dt>" in html
    assert html.count("<th scope=row>") == 10


def test_the_deployed_shipped_version_can_be_neither_deployed_nor_deleted(
    open_page: OpenPage, html_of: HtmlOf
) -> None:
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
    assert deploy_buttons(page) == ["deploy-3", "deploy-2"]

    page.button(key="deploy-2").click().run()

    assert "Version 2 answers from now on." in html_of(page)
    assert deploy_buttons(page) == ["deploy-3", "deploy-1"]


def test_a_damaged_version_says_what_is_wrong_and_cannot_be_deployed(
    open_page: OpenPage, html_of: HtmlOf, server_of_three: Any
) -> None:
    page = open_page("models", address=server_of_three.address)

    assert (
        "On the disk, model.onnx is damaged: 7 bytes of 661,397. It cannot be deployed: delete it"
        in html_of(page)
    )
    assert [button.key for button in page.button if button.disabled] == ["deploy-3"]


def test_a_version_that_was_damaged_a_moment_ago_is_not_deployed_and_the_page_says_why(
    open_page: OpenPage, html_of: HtmlOf, server_of_three: Any
) -> None:
    artifact = server_of_three.data / "models" / "000002" / "model.onnx"
    page = open_page("models", address=server_of_three.address)
    before = deploy_buttons(page)
    candidate = "deploy-2" if "deploy-2" in before else "deploy-1"
    artifact = server_of_three.data / "models" / f"00000{candidate[-1]}" / "model.onnx"
    whole = artifact.read_bytes()
    artifact.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])

    page.button(key=candidate).click().run()
    artifact.write_bytes(whole)

    assert "model.onnx is damaged: its content is not what was saved" in html_of(page)
    assert deploy_buttons(page) == before


def test_a_version_whose_description_is_damaged_is_shown_with_the_reason_and_can_be_deleted(
    open_page: OpenPage, html_of: HtmlOf, launch_server: Callable[..., Any]
) -> None:
    server = launch_server()
    server.stop()
    models = server.data / "models"
    for name, damaged in (("000002", "version.json"), ("000003", "model.keras")):
        shutil.copytree(models / "000001", models / name)
        (models / name / damaged).write_bytes(b"{}")
    server.start()
    page = open_page("models", address=server.address)
    html = html_of(page)

    assert "Version 2" in html
    assert "version.json cannot be read" in html
    assert "model.keras is damaged: 2 bytes of" in html
    assert "It can answer, but not be exported or trained on." in html
    assert [button.key for button in page.button if button.disabled] == []
    page.button(key="delete-2").click().run()
    page.button(key="delete-now-2").click().run()

    assert "Version 2 is deleted." in html_of(page)
    assert "version.json cannot be read" not in html_of(page)


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


HELD = GateReport(
    passed=False,
    serving_version=1,
    comparisons=(
        GateComparison(GateData.VALIDATION, 5000, 0.9728, 0.9956, -0.0228, -0.0276, -0.0186, passed=False),
        GateComparison(GateData.SAMPLES, 20, 0.9, 0.85, 0.05, -0.13, 0.23, passed=True),
    ),
    reasons=("It reads fewer of the 5,000 validation digits correctly.",),
)
PASSED = GateReport(
    passed=True,
    serving_version=2,
    comparisons=(
        GateComparison(GateData.VALIDATION, 5000, 0.9906, 0.9828, 0.0078, 0.0043, 0.0116, passed=True),
    ),
    reasons=(),
)


@pytest.fixture
def server(launch_server: Callable[..., Any], add_version: Callable[..., int]) -> Any:
    """A server with a version that was held back and one that passed; the shipped one is deployed."""
    server = launch_server(DIGITS_MNIST="")
    add_version(server, HELD)
    add_version(server, PASSED, base_version=2, samples=23)
    return server


@pytest.fixture
def client(server: Any) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def test_a_version_tells_how_it_did_at_the_gate_and_what_it_was_taught(
    open_page: OpenPage, html_of: HtmlOf, server: Any
) -> None:
    page = open_page("models", address=server.address, **{"details-2": True})
    html = html_of(page)

    assert "<b>Did not pass the gate.</b> It stays a candidate." in html
    assert "It reads fewer of the 5,000 validation digits correctly." in html
    assert "<b>Passed the gate</b> against version 2: +0.78 points on 5,000 validation digits" in html
    assert "(95 % interval +0.43 to +1.16)." in html
    assert "Went on from version 2, taught 23 digits of My digits" in html
    # Figures of both comparisons, in the details.
    for figure in ("99.56 %", "97.28 %", "−2.28", "85.00 %", "90.00 %", "+5.00"):
        assert figure in html
    assert page.button(key="deploy-2").label == "Deploy anyway"
    assert page.button(key="deploy-3").label == "Deploy"


def test_one_click_rolls_back_and_the_list_tells_all(
    open_page: OpenPage, html_of: HtmlOf, server: Any, client: Client
) -> None:
    page = open_page("models", address=server.address)
    with pytest.raises(KeyError):
        page.button(key="roll-back-now")  # There is nothing to go back to yet.
    page.button(key="deploy-3").click().run()
    assert "Version 3 answers." in html_of(page)
    assert page.button(key="roll-back-now").label == "Roll back to version 1"

    page.button(key="roll-back-now").click().run()

    assert "Version 1 answers again. Version 3 is still here" in html_of(page)
    assert client.get_model().model_version == 1
    html = html_of(page)
    told = [
        "Rolled back from version 3 to version 1",
        "Version 3 took over from version 1",
        "Version 1 began",
    ]
    assert sorted(told, key=html.index) == told
    assert "Asked for on the Models page." in html
    assert "First start." in html


def test_a_version_is_deleted_after_a_second_click(
    open_page: OpenPage, html_of: HtmlOf, server: Any, client: Client
) -> None:
    page = open_page("models", address=server.address, **{"details-2": True})
    page.button(key="delete-2").click().run()
    assert "Delete version 2 for good?" in html_of(page)
    page.button(key="keep-2").click().run()
    assert "for good?" not in html_of(page)
    assert client.get_model(2).model_version == 2

    page.button(key="delete-2").click().run()
    page.button(key="delete-now-2").click().run()

    assert "Version 2 is deleted." in html_of(page)
    assert "<b>Version 2</b>" not in html_of(page)
    assert "Version 2 was deleted" in html_of(page)
    assert [model.model_version for model in client.list_models().models] == [3, 1]


def test_a_refused_deletion_tells_why_on_its_card(
    open_page: OpenPage, html_of: HtmlOf, server: Any, client: Client
) -> None:
    page = open_page("models", address=server.address, **{"details-2": True})
    page.button(key="delete-2").click().run()
    client.deploy_model(2)  # Somebody else was faster.
    page.button(key="delete-now-2").click().run()

    assert 'role="alert">Version 2 is deployed; deploy another one first.' in html_of(page)
    assert "<b>Version 2</b>" in html_of(page)


def test_a_version_is_exported_when_its_form_is_chosen(
    open_page: OpenPage, html_of: HtmlOf, server: Any
) -> None:
    page = open_page("models", address=server.address, **{"details-1": True})
    assert not page.get("download_button")

    page.session_state["export-1"] = ExportFormat.ONNX
    page.run()

    (save,) = page.get("download_button")
    assert save.proto.label.startswith("Save digits-1.onnx (")
    assert "The very file that answers here, for ONNX Runtime. SHA-256 " in html_of(page)


def test_a_damaged_version_is_not_exported_and_the_page_says_why(
    open_page: OpenPage, html_of: HtmlOf, server_of_three: Any
) -> None:
    chosen = {"details-3": True, "export-3": ExportFormat.ONNX}
    page = open_page("models", address=server_of_three.address, **chosen)

    assert 'role="alert">Version 3: model.onnx' in html_of(page)
    assert not page.get("download_button")
