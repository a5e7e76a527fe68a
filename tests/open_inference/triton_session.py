"""What the unmodified `tritonclient[grpc]` sees of a server, as JSON on standard output.

    python tests/open_inference/triton_session.py ADDRESS PNG

It runs in an environment of its own (tests/open_inference/requirements.lock): its stubs and ours register the
same message names, so the two cannot live in one process.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

MODEL = "digits"
WAIT_S = 90.0


def bar(rows: int = 1) -> np.ndarray[Any, Any]:
    """Upright bars, which every model reads as 1: (N, 28, 28, 1) float32 in [0, 1]."""
    images = np.zeros((rows, 28, 28, 1), np.float32)
    images[:, 4:24, 13:15] = 1
    return images


def tensor(name: str, values: np.ndarray[Any, Any], datatype: str) -> triton.InferInput:
    """An input."""
    made = triton.InferInput(name, values.shape, datatype)
    made.set_data_from_numpy(values)
    return made


def refused(call: Callable[[], Any]) -> list[str]:
    """The code and the message of a call that must fail."""
    try:
        answer = call()
    except InferenceServerException as error:
        return [str(error.status()), error.message()]
    return ["OK", str(answer)]


def sync(address: str, png: bytes) -> dict[str, Any]:
    """One call after the other."""
    client = triton.InferenceServerClient(address)
    image = tensor("image", bar(2), "FP32")
    bytes_image = tensor("image", (bar() * 255).astype(np.uint8), "UINT8")
    encoded = tensor("encoded", np.array([png, png], dtype=np.object_), "BYTES")
    answer = client.infer(MODEL, [image], request_id="mine")
    top = client.infer(MODEL, [image], outputs=[triton.InferRequestedOutput("probabilities", class_count=3)])
    only = client.infer(MODEL, [image], outputs=[triton.InferRequestedOutput("digit")])
    config = client.get_model_config(MODEL, as_json=True)["config"]
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": [client.is_model_ready(MODEL, version) for version in ("", "1", "99", "x")],
        "unknown_model_ready": client.is_model_ready("another"),
        "server": client.get_server_metadata(as_json=True),
        "metadata": client.get_model_metadata(MODEL, as_json=True),
        "config": config,
        "probabilities": answer.as_numpy("probabilities").tolist(),
        "digit": answer.as_numpy("digit").tolist(),
        "id": answer.get_response().id,
        "version": answer.get_response().model_version,
        "top": [[text.decode() for text in row] for row in top.as_numpy("probabilities")],
        "only": [output.name for output in only.get_response().outputs],
        "uint8": client.infer(MODEL, [bytes_image], model_version="1").as_numpy("probabilities").tolist(),
        "encoded": client.infer(MODEL, [encoded], priority=3, timeout=5_000_000).as_numpy("digit").tolist(),
        "compressed": client.infer(MODEL, [image], compression_algorithm="gzip").as_numpy("digit").tolist(),
        "statistics": client.get_inference_statistics(MODEL, "1", as_json=True)["model_stats"],
        "index": client.get_model_repository_index(as_json=True)["models"],
        "refusals": {
            "model": refused(partial(client.infer, "another", [image])),
            "version": refused(partial(client.infer, MODEL, [image], model_version="99")),
            "metadata": refused(partial(client.get_model_metadata, "another")),
            "config": refused(partial(client.get_model_config, "another")),
            "statistics": refused(partial(client.get_inference_statistics, "another")),
            "load": refused(partial(client.load_model, "another")),
            "shape": refused(partial(client.infer, MODEL, [tensor("image", bar()[:, :14], "FP32")])),
            "type": refused(
                partial(client.infer, MODEL, [tensor("image", bar().astype(np.float64), "FP64")])
            ),
            "range": refused(partial(client.infer, MODEL, [tensor("image", bar() * 2, "FP32")])),
            "nan": refused(partial(client.infer, MODEL, [tensor("image", bar() * np.nan, "FP32")])),
            "input": refused(partial(client.infer, MODEL, [tensor("picture", bar(), "FP32")])),
            "both": refused(partial(client.infer, MODEL, [image, encoded])),
            "undecodable": refused(
                partial(client.infer, MODEL, [tensor("encoded", np.array([b"no"], np.object_), "BYTES")])
            ),
            "output": refused(
                partial(client.infer, MODEL, [image], outputs=[triton.InferRequestedOutput("logits")])
            ),
            "shared_memory": refused(client.get_system_shared_memory_status),
            "cuda": refused(client.get_cuda_shared_memory_status),
            "trace": refused(client.get_trace_settings),
            "log": refused(client.get_log_settings),
        },
    }


def stream(address: str, png: bytes) -> dict[str, Any]:
    """A stream: good and bad requests in turn, and callbacks of calls that do not wait."""
    client = triton.InferenceServerClient(address)
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for number in range(20):
        image = bar() if number % 5 else bar() * 2
        client.async_stream_infer(MODEL, [tensor("image", image, "FP32")], request_id=str(number))
    seen = [answers.get(timeout=WAIT_S) for _ in range(20)]
    client.stop_stream()
    called: queue.Queue[Any] = queue.Queue()
    for number in range(40):
        client.async_infer(
            MODEL,
            [tensor("image", bar(), "FP32")],
            callback=lambda result, error: called.put((result, error)),
            request_id=str(number),
        )
    results = [called.get(timeout=WAIT_S) for _ in range(40)]
    return {
        "digits": [None if error else result.as_numpy("digit").tolist() for result, error in seen],
        "ids": [result.get_response().id for result, error in seen if not error],
        "errors": [str(error) for _, error in seen if error],
        "async_ids": sorted(int(result.get_response().id) for result, error in results if not error),
    }


async def asynchronous(address: str, png: bytes) -> dict[str, Any]:
    """Many at once, and a stream, on an event loop."""
    client = triton_aio.InferenceServerClient(address)
    image = tensor("image", bar(), "FP32")
    results = await asyncio.gather(*(client.infer(MODEL, [image], request_id=str(i)) for i in range(30)))

    async def requests() -> Any:
        for number in range(10):
            yield {"model_name": MODEL, "inputs": [image], "request_id": str(number)}

    streamed = [result async for result, error in client.stream_infer(requests()) if error is None]
    seen = {
        "ready": await client.is_model_ready(MODEL),
        "ids": [result.get_response().id for result in results],
        "digits": [result.as_numpy("digit").tolist() for result in results],
        "streamed": [result.get_response().id for result in streamed],
    }
    await client.close()
    return seen


def deployment(address: str, png: bytes) -> dict[str, Any]:
    """Undeploy and deploy. Last, since nothing answers in between."""
    client = triton.InferenceServerClient(address)
    image = tensor("image", bar(), "FP32")
    client.unload_model(MODEL)
    unloaded = {
        "ready": [client.is_server_ready(), client.is_model_ready(MODEL)],
        "infer": refused(partial(client.infer, MODEL, [image])),
        "states": [each["state"] for each in client.get_model_repository_index(as_json=True)["models"]],
    }
    missing = json.dumps({"version_policy": {"specific": {"versions": [99]}}})
    chosen = json.dumps({"version_policy": {"specific": {"versions": [1]}}})
    seen = {
        "unloaded": unloaded,
        "missing": refused(partial(client.load_model, MODEL, config=missing)),
        "malformed": refused(partial(client.load_model, MODEL, config="[")),
        "ready_before": client.is_model_ready(MODEL),
    }
    client.load_model(MODEL, config=chosen)
    seen["ready_after"] = client.is_model_ready(MODEL)
    client.load_model(MODEL)
    seen["digit"] = client.infer(MODEL, [image]).as_numpy("digit").tolist()
    return seen


def main() -> None:
    address, png = sys.argv[1], Path(sys.argv[2]).read_bytes()
    print(
        json.dumps(
            {
                "sync": sync(address, png),
                "stream": stream(address, png),
                "asyncio": asyncio.run(asynchronous(address, png)),
                "deployment": deployment(address, png),
            }
        )
    )


if __name__ == "__main__":
    main()
