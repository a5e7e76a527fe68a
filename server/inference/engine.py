"""One model version in memory, run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from server.errors import ModelCorrupt

INPUT_SHAPE = (28, 28, 1)
CLASSES = 10

# ONNX Runtime's own warnings go to standard error as text; what matters comes back as exceptions.
ERRORS_ONLY = 3


Images = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


def to_float(images: Images) -> npt.NDArray[np.float32]:
    """Pixels as the model takes them, in [0, 1]; what is float32 is so already."""
    if images.dtype == np.float32:
        return images  # type: ignore[return-value]
    # Float32 throughout, as in training: dividing in float64 would round differently.
    return np.divide(images, np.float32(255), dtype=np.float32)


class Engine:
    """Reads digits with one artifact. May be used from several threads at once."""

    def __init__(self, artifact: Path, threads: int = 1) -> None:
        """Load an ONNX model of (N, 28, 28, 1) float32 in [0, 1] -> (N, 10) probabilities, and try it.

        `threads`: how many cores one call may use. Raises ModelCorrupt when the file is no such model.
        """
        name = f"{artifact.parent.name}/{artifact.name}"  # The rest of the path is nobody's business.
        try:
            self._session = onnxruntime.InferenceSession(
                artifact, session_options(threads), providers=["CPUExecutionProvider"]
            )
        # ONNX Runtime raises a dozen unrelated types, straight from C++; all of them mean the same here.
        except Exception as error:
            reason = str(error).replace(str(artifact), name)
            raise ModelCorrupt(f"{name}: ONNX Runtime cannot load it: {reason}") from error
        self._input, self._output = _check_shapes(name, self._session)
        self._warm_up(name)

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        """The probabilities of the digits 0-9: (N, 28, 28) uint8, 0 = background, or float32 in [0, 1]
        -> (N, 10) float32.
        """
        if images.dtype not in (np.uint8, np.float32) or images.shape[1:] != INPUT_SHAPE[:2]:
            raise ValueError(
                f"expected (N, 28, 28) uint8 or float32 images, got {images.shape} {images.dtype}"
            )
        if not len(images):
            return np.empty((0, CLASSES), np.float32)
        pixels = to_float(images)[..., np.newaxis]  # (N, 28, 28, 1)
        (answers,) = self._session.run([self._output], {self._input: pixels})
        return np.asarray(answers)

    def _warm_up(self, name: str) -> None:
        """The first call allocates and is slow: let nobody wait for it, and see that it makes sense."""
        try:
            answers = self.probabilities(np.zeros((2, 28, 28), np.uint8))
        except Exception as error:
            raise ModelCorrupt(f"{name}: ONNX Runtime cannot run it: {error}") from error
        fits = answers.shape == (2, CLASSES) and answers.min() >= 0
        if not fits or not np.allclose(answers.sum(axis=1), 1.0, atol=1e-3):
            raise ModelCorrupt(f"{name}: expected (2, 10) probabilities, rows adding up to 1, got {answers}")


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Sessions that share the machine: `threads` cores a call, nothing kept between calls."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    # Threads that wait for work by spinning would take the cores from requests and training.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # The arena keeps the largest batch's memory after the session is gone, and patterns keep some for each
    # batch size seen. Without both, one image takes the same time and a dropped version's memory returns.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    return options


def _check_shapes(name: str, session: onnxruntime.InferenceSession) -> tuple[str, str]:
    """The names of the input and the output, both float32 with a free batch size. Raises ModelCorrupt."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    fits = (
        len(inputs) == len(outputs) == 1
        and inputs[0].type == outputs[0].type == "tensor(float)"
        and _is_batch_of(inputs[0].shape, INPUT_SHAPE)
        and _is_batch_of(outputs[0].shape, (CLASSES,))
    )
    if not fits:
        got = ", ".join(f"{one.name} {one.type} {one.shape}" for one in (*inputs, *outputs))
        raise ModelCorrupt(f"{name}: expected float (N, 28, 28, 1) -> float (N, 10), got {got}")
    return inputs[0].name, outputs[0].name


def _is_batch_of(shape: list[int | str | None], image: tuple[int, ...]) -> bool:
    """Whether the first dimension is free (unnamed, or named by a text) and the others are `image`'s."""
    return tuple(shape[1:]) == image and not isinstance(shape[0], int)
