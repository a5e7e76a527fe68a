"""The command `digits`: what it prints for people and for programs, and how it ends."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from digits.cli.main import main
from digits.v1 import evaluation_pb2, model_pb2, sample_pb2
from PIL import Image


class Result:
    """What a command printed, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        """All of stdout, as JSON."""
        return json.loads(self.out)


@pytest.fixture
def digits(live_server: Any, capsys: Any, monkeypatch: Any) -> Callable[..., Result]:
    """Run a command: `digits("predict", file)`, on the shared server or on the one at `server`."""

    def run(*arguments: object, server: str = live_server.address) -> Result:
        monkeypatch.setenv("DIGITS_SERVER", server)
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


@pytest.fixture
def seven(seven_png: bytes, tmp_path: Path) -> Path:
    """A drawn seven in a file."""
    file = tmp_path / "seven.png"
    file.write_bytes(seven_png)
    return file


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """A white image in a file."""
    file = tmp_path / "blank.png"
    Image.new("L", (100, 100), 255).save(file)
    return file


def test_predict_prints_a_line_for_each_file(digits: Any, seven: Path) -> None:
    result = digits("predict", seven, seven)

    assert result.code == 0
    assert [line.startswith(f"{seven}: 7  ") for line in result.out.splitlines()] == [True, True]
    assert result.err == ""


def test_predict_as_json_has_an_entry_for_each_file_in_their_order(
    digits: Any, seven: Path, blank: Path
) -> None:
    result = digits("predict", blank, seven, "--json")

    refused, read = result.json
    assert result.code == 1
    assert refused == {
        "file": str(blank),
        "error": {"reason": "BLANK_IMAGE", "message": refused["error"]["message"]},
    }
    assert (read["file"], read["digit"], read["is_uncertain"]) == (str(seven), 7, False)
    assert len(read["probabilities"]) == 10
    assert result.err.count("\n") == 1


def test_read_prints_the_number(digits: Any, two_sevens_png: bytes, tmp_path: Path) -> None:
    file = tmp_path / "number.png"
    file.write_bytes(two_sevens_png)

    assert digits("read", file).out == "77\n"
    digit, _ = digits("read", file, "--json").json["digits"]
    assert set(digit["box"]) == {"x", "y", "width", "height"}


def test_health_tells_what_answers(digits: Any, live_server: Any) -> None:
    result = digits("health", "--json")

    assert result.code == 0
    assert result.json["address"] == live_server.address
    assert result.json["model_version"] >= 1
    assert live_server.address in digits("health").out


def test_models_lists_the_deployed_version(digits: Any) -> None:
    result = digits("models", "--json")

    [deployed] = [model for model in result.json["models"] if model["is_deployed"]]
    assert deployed["create_time"].endswith("+00:00")
    assert "deployed" in digits("models").out


def test_evaluate_measures_and_mistakes_shows_what_was_misread(digits: Any, tmp_path: Path) -> None:
    measured = digits("evaluate", "--json").json
    sheet = tmp_path / "mistakes.png"
    dataset = measured["dataset"]
    mistakes = digits("mistakes", "--dataset", dataset, "--limit", 3, "--png", sheet, "--json")

    assert measured["state"] == "succeeded"
    assert measured["accuracy_low"] < measured["accuracy"] <= measured["accuracy_high"]
    assert mistakes.json["total_size"] == measured["misclassified"]
    with Image.open(sheet) as image:
        assert image.format == "PNG"
        assert image.width > image.height
    assert f"{measured['misclassified']} mistakes" in digits("mistakes", "--dataset", dataset).out


def test_samples_are_added_listed_exported_imported_and_deleted(
    digits: Any, seven: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "mine.zip"

    [kept] = digits("samples", "add", seven, "--label", 7, "--json").json
    listed = digits("samples", "list", "--label", 7, "--read", "--json").json["samples"]
    exported = digits("samples", "export", archive, "--label", 7, "--json").json
    known = digits("samples", "import", archive, "--json").json
    deleted = digits("samples", "delete", kept["sample_id"])
    imported = digits("samples", "import", archive, "--json").json
    again = digits("samples", "list", "--label", 7, "--json").json["samples"]
    digits("samples", "delete", *(sample["sample_id"] for sample in again))

    assert (kept["label"], kept["predicted_digit"], kept["source"]) == (7, 7, "drawn")
    assert kept["sample_id"] in [sample["sample_id"] for sample in listed]
    assert exported["bytes"] == archive.stat().st_size
    assert (known["added"], known["known"]) == (0, len(listed))
    assert deleted.out == "1 forgotten\n"
    assert imported["added"] == 1
    assert digits("samples", "list", "--label", 7).out == "No such samples.\n"


def test_the_very_artifact_that_serves_is_exported(digits: Any, tmp_path: Path) -> None:
    file = tmp_path / "digits.onnx"

    exported = digits("export", "--format", "onnx", "--output", file, "--json").json
    [model] = [model for model in digits("models", "--json").json["models"] if model["is_deployed"]]

    assert exported["sha256"] == model["artifact_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.stat().st_size == exported["bytes"] == model["artifact_bytes"]


@pytest.mark.parametrize("place", ["before", "after"])
def test_options_for_all_commands_stand_before_or_after_the_command(
    digits: Any, live_server: Any, place: str
) -> None:
    options = ("--server", live_server.address, "--json")
    arguments = (*options, "models") if place == "before" else ("models", *options)

    assert digits(*arguments, server="127.0.0.1:1").json["total_size"] >= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("predict", "no-such-file"), "no-such-file"),
        (("predict",), "FILE"),
        (("mistakes", "--label", "x"), "digit from 0 to 9"),
        (("evaluate", "--dataset", "mnist"), "mnist_test"),
        (("deploy", "newest"), "newest"),
        (("sing",), "sing"),
        ((), "COMMAND"),
    ],
)
def test_wrong_use_is_told_in_one_line(digits: Any, arguments: tuple[str, ...], words: str) -> None:
    result = digits(*arguments)

    assert result.code == 2
    assert result.out == ""
    assert words in result.err
    assert result.err.count("\n") == 1


def test_a_refusal_is_one_line_with_its_reason(digits: Any, seven: Path) -> None:
    result = digits("predict", seven, "--model-version", 999_999)

    assert result.code == 1
    assert result.out == ""
    assert result.err.startswith("digits: model_version: no version 999999")
    assert "MODEL_NOT_FOUND" in result.err
    assert result.err.count("\n") == 1


def test_no_server_is_one_line_with_the_address(digits: Any, dead_address: str) -> None:
    result = digits("health", "--json", server=dead_address)

    assert (result.code, result.out) == (3, "")
    assert dead_address in result.err
    assert result.err.count("\n") == 1


def test_a_fault_names_the_request_for_the_servers_log(digits: Any, stand_in: Any, refuse: Any) -> None:
    def behave(arrived: Any, context: Any) -> None:
        refuse(context, grpc.StatusCode.INTERNAL, "INTERNAL")

    server = stand_in(behave)
    result = digits("models", server=server.address)

    assert result.code == 4
    assert server.calls[0].metadata["x-request-id"] in result.err
    assert result.err.count("\n") == 1


def test_a_token_that_cannot_be_read_is_wrong_use(digits: Any, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("DIGITS_TOKEN_FILE", str(tmp_path / "none"))

    result = digits("models")

    assert result.code == 2
    assert "none" in result.err


def test_the_token_of_the_environment_goes_along(
    digits: Any, monkeypatch: Any, stand_in: Any, fill: Any
) -> None:
    server = stand_in(lambda arrived, context: [fill(model_pb2.ListModelsResponse())])
    monkeypatch.setenv("DIGITS_TOKEN", "of-the-test")

    digits("models", server=server.address)

    assert server.calls[0].metadata["authorization"] == "Bearer of-the-test"


def test_deploy_names_its_cause(digits: Any, stand_in: Any, fill: Any) -> None:
    server = stand_in(lambda arrived, context: [fill(model_pb2.DeployModelResponse())])

    result = digits("deploy", 3, "--cause", "reads sevens better", server=server.address)

    assert result.code == 0
    [request] = server.calls[0].requests
    assert (request.model_version, request.cause) == (3, "reads sevens better")


def test_half_an_archive_leaves_no_file(digits: Any, stand_in: Any, refuse: Any, tmp_path: Path) -> None:
    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        yield sample_pb2.ExportSamplesResponse(chunk=b"half")
        refuse(context, grpc.StatusCode.UNAVAILABLE)

    result = digits("samples", "export", tmp_path / "mine.zip", server=stand_in(behave).address)

    assert result.code == 3
    assert list(tmp_path.iterdir()) == []


def test_an_export_stays_in_the_folder_whatever_name_the_server_gives(
    digits: Any, stand_in: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        yield model_pb2.ExportModelResponse(header={"file_name": "../../digits.onnx", "sha256": empty})

    monkeypatch.chdir(tmp_path)
    result = digits("export", "--format", "onnx", server=stand_in(behave).address)

    assert result.code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["digits.onnx"]


def test_without_pillow_a_sheet_says_what_to_install(
    digits: Any, monkeypatch: Any, tmp_path: Path, stand_in: Any, fill: Any
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    server = stand_in(lambda arrived, context: [fill(evaluation_pb2.ListMisclassifiedResponse())])

    result = digits("mistakes", "--png", tmp_path / "sheet.png", server=server.address)

    assert result.code == 2
    assert "digit-lab[png]" in result.err
    assert list(tmp_path.iterdir()) == []


def test_help_tells_the_exit_codes_and_the_environment(digits: Any) -> None:
    text = digits("--help").out

    assert all(word in text for word in ("exit codes:", "130  interrupted", "DIGITS_TOKEN_FILE"))
