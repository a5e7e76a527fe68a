"""NVIDIA's own client, unmodified and in an environment of its own, against a live server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("DIGITS_TRITON_VENV", ROOT / ".venv-triton")) / "bin" / "python"
Seen = dict[str, Any]


@pytest.fixture(scope="module")
def seen(launch_server: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """All that the client saw in one session."""
    if not PYTHON.exists():
        pytest.skip(f"{PYTHON} is missing: `make test` makes it; alone: make {PYTHON.parts[-3]}/.ready")
    sheet = np.full((280, 280), 255, np.uint8)
    cv2.polylines(sheet, [np.array([(80, 60), (200, 60), (120, 230)])], isClosed=False, color=0, thickness=18)
    png = tmp_path_factory.mktemp("drawing") / "seven.png"
    cv2.imwrite(str(png), sheet)
    server = launch_server(DIGITS_MNIST="")
    command = [
        str(PYTHON),
        "-I",
        str(Path(__file__).with_name("triton_session.py")),
        server.address,
        str(png),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout))


@pytest.fixture(scope="module")
def sync(seen: Seen) -> Seen:
    return dict(seen["sync"])


def test_it_finds_server_and_model_live_and_ready(sync: Seen) -> None:
    assert sync["live"]
    assert sync["ready"]
    assert sync["model_ready"] == [True, True, False, False]
    assert sync["unknown_model_ready"] is False


def test_metadata_and_configuration_tell_how_to_ask(sync: Seen) -> None:
    assert sync["server"]["name"] == "digit-lab"
    assert "statistics" in sync["server"]["extensions"]
    metadata = sync["metadata"]
    assert metadata["versions"] == ["1"]
    assert {each["name"]: (each["datatype"], each["shape"]) for each in metadata["inputs"]} == {
        "image": ("FP32", ["-1", "28", "28", "1"]),
        "encoded": ("BYTES", ["-1"]),
    }
    assert {each["name"]: (each["datatype"], each["shape"]) for each in metadata["outputs"]} == {
        "probabilities": ("FP32", ["-1", "10"]),
        "digit": ("INT64", ["-1"]),
    }
    # As in the metadata: with a batch size of 0 the dimensions include the batch.
    assert sync["config"].get("max_batch_size", 0) == 0
    assert [each["dims"] for each in sync["config"]["input"]] == [["-1", "28", "28", "1"], ["-1"]]


def test_it_reads_tensors_and_files(sync: Seen) -> None:
    assert sync["digit"] == [1, 1]
    assert np.allclose(np.sum(sync["probabilities"], axis=1), 1, atol=1e-3)
    assert (sync["id"], sync["version"]) == ("mine", "1")
    assert sync["encoded"] == [7, 7]
    assert sync["compressed"] == [1, 1]


def test_bytes_and_floats_of_the_same_image_get_the_same_answer(sync: Seen) -> None:
    assert np.allclose(sync["uint8"][0], sync["probabilities"][0], atol=1e-6)


def test_classes_come_as_texts_the_best_first(sync: Seen) -> None:
    for row, probabilities in zip(sync["top"], sync["probabilities"], strict=True):
        best = np.argsort(probabilities)[::-1][:3]
        assert row == [f"{probabilities[digit]:f}:{digit}:{digit}" for digit in best]


def test_only_what_was_wanted_comes_back(sync: Seen) -> None:
    assert sync["only"] == ["digit"]


def test_statistics_count_what_was_inferred(sync: Seen) -> None:
    (row,) = sync["statistics"]
    # Two images each but one of them.
    assert (row["name"], row["version"]) == ("digits", "1")
    assert int(row["execution_count"]) == 6
    assert int(row["inference_count"]) == 11
    assert (
        int(row["inference_stats"]["success"]["ns"]) >= int(row["inference_stats"]["compute_infer"]["ns"]) > 0
    )
    assert sync["index"] == [{"name": "digits", "version": "1", "state": "READY"}]


@pytest.mark.parametrize(
    ("case", "code", "says"),
    [
        ("model", "NOT_FOUND", "Request for unknown model: 'another'"),
        ("version", "NOT_FOUND", "Request for unknown model: 'digits' version 99"),
        ("metadata", "NOT_FOUND", "Request for unknown model: 'another'"),
        ("config", "NOT_FOUND", "Request for unknown model: 'another'"),
        ("statistics", "NOT_FOUND", "Request for unknown model: 'another'"),
        ("load", "NOT_FOUND", "Request for unknown model: 'another'"),
        ("shape", "INVALID_ARGUMENT", "expected [-1,28,28,1], got [1,14,28,1]"),
        ("type", "INVALID_ARGUMENT", "expected UINT8 or FP32"),
        ("range", "INVALID_ARGUMENT", "[0, 1], got 0 to 2"),
        ("nan", "INVALID_ARGUMENT", "[0, 1], got nan"),
        ("input", "INVALID_ARGUMENT", "unexpected inference input 'picture'"),
        ("both", "INVALID_ARGUMENT", "got 2 inputs"),
        ("undecodable", "INVALID_ARGUMENT", "inputs[0].contents.bytes_contents[0]"),
        ("output", "INVALID_ARGUMENT", "unexpected inference output 'logits'"),
        ("shared_memory", "UNIMPLEMENTED", "SystemSharedMemoryStatus"),
        ("cuda", "UNIMPLEMENTED", "CudaSharedMemoryStatus"),
        ("trace", "UNIMPLEMENTED", "TraceSetting"),
        ("log", "UNIMPLEMENTED", "LogSettings"),
    ],
)
def test_what_is_wrong_is_told_with_the_protocols_codes(sync: Seen, case: str, code: str, says: str) -> None:
    got, message = sync["refusals"][case]
    assert got == f"StatusCode.{code}"
    assert says in message


def test_a_stream_goes_on_after_a_bad_request(seen: Seen) -> None:
    stream = seen["stream"]
    assert stream["digits"] == [[1] if number % 5 else None for number in range(20)]
    assert stream["ids"] == [str(number) for number in range(20) if number % 5]
    assert len(stream["errors"]) == 4
    assert all("[0, 1], got 0 to 2" in error for error in stream["errors"])


def test_calls_that_do_not_wait_all_come_back(seen: Seen) -> None:
    assert seen["stream"]["async_ids"] == list(range(40))
    assert seen["asyncio"]["ids"] == [str(number) for number in range(30)]
    assert seen["asyncio"]["digits"] == [[1]] * 30
    assert seen["asyncio"]["streamed"] == [str(number) for number in range(10)]


def test_unloading_undeploys_and_loading_deploys(seen: Seen) -> None:
    deployment = seen["deployment"]
    assert deployment["unloaded"]["ready"] == [False, False]
    assert deployment["unloaded"]["infer"][0] == "StatusCode.UNAVAILABLE"
    assert deployment["unloaded"]["states"] == ["UNAVAILABLE"]
    assert deployment["missing"][0] == "StatusCode.NOT_FOUND"
    assert deployment["malformed"][0] == "StatusCode.INVALID_ARGUMENT"
    assert deployment["ready_before"] is False
    assert deployment["ready_after"]
    assert deployment["digit"] == [1]
