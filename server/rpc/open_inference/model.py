"""The one model of the protocol: its name, versions and tensors, and its configuration in Triton's words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from digits.oip import open_inference_pb2 as pb

from server.application import Application
from server.errors import DigitsError, ModelNotReady, UnknownModel
from server.replica import Replica

NAME = "digits"
PLATFORM = "onnxruntime_onnx"
BACKEND = "onnxruntime"
ARTIFACT = "model.onnx"

IMAGE, ENCODED = "image", "encoded"
PROBABILITIES, DIGIT = "probabilities", "digit"
SIDE = 28
CLASSES = 10
# As BatchPredict has it.
MAX_ROWS = 1024
VERSION = re.compile(r"[0-9]{1,10}")


def check_name(name: str) -> None:
    """Raises UnknownModel for any name but the model's."""
    if name != NAME:
        raise UnknownModel(f"'{name}' is not found; the model here is '{NAME}'")


def version_number(name: str, version: str, application: Application | Replica) -> int | None:
    """The version that a request names, which is there and can be asked; None for the deployed one.

    Raises UnknownModel for a name or version that there is not, ModelNotReady when nothing is deployed.
    """
    check_name(name)
    if application.deployed is None:
        raise ModelNotReady
    if not version:
        return None
    try:
        # Not `isdigit`: there are digits that are no numbers. Nor does Python read thousands of them as one.
        number = int(version) if VERSION.fullmatch(version) else 0
        # The common case, without a look at the disk.
        return number if number == application.deployed else application.version(number).version
    except DigitsError:
        raise UnknownModel(f"'{NAME}' version {version} is not found") from None


def versions(application: Application | Replica) -> tuple[int, ...]:
    """All versions, the oldest first."""
    return tuple(version.version for version in application.store.list())


def metadata(shown: Iterable[int]) -> pb.ModelMetadataResponse:
    """What the model takes and gives."""
    tensor = pb.ModelMetadataResponse.TensorMetadata
    return pb.ModelMetadataResponse(
        name=NAME,
        versions=[str(version) for version in shown],
        platform=PLATFORM,
        inputs=[
            tensor(name=IMAGE, datatype="FP32", shape=[-1, SIDE, SIDE, 1]),
            tensor(name=ENCODED, datatype="BYTES", shape=[-1]),
        ],
        outputs=[
            tensor(name=PROBABILITIES, datatype="FP32", shape=[-1, CLASSES]),
            tensor(name=DIGIT, datatype="INT64", shape=[-1]),
        ],
    )


def configuration() -> pb.ModelConfig:
    """The configuration. Every request may hold up to MAX_ROWS images, whatever `max_batch_size` says."""
    return pb.ModelConfig(
        name=NAME,
        platform=PLATFORM,
        backend=BACKEND,
        version_policy=pb.ModelVersionPolicy(all=pb.ModelVersionPolicy.All()),
        # 0: `dims` includes the batch. With another number it would be left out, `encoded` would have no
        # dimension at all, and Triton's perf_analyzer stops at such an input, even at one that is optional.
        max_batch_size=0,
        # One of the two is sent, and clients leave out only what is optional.
        input=[
            pb.ModelInput(name=IMAGE, data_type=pb.TYPE_FP32, dims=[-1, SIDE, SIDE, 1]),
            pb.ModelInput(name=ENCODED, data_type=pb.TYPE_STRING, dims=[-1], optional=True),
        ],
        output=[
            pb.ModelOutput(name=PROBABILITIES, data_type=pb.TYPE_FP32, dims=[-1, CLASSES]),
            pb.ModelOutput(name=DIGIT, data_type=pb.TYPE_INT64, dims=[-1]),
        ],
        default_model_filename=ARTIFACT,
        model_transaction_policy=pb.ModelTransactionPolicy(decoupled=False),
    )
