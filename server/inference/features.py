"""What a version sees in an image: the values that its last layer turns into ten probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from server.errors import ModelCorrupt
from server.inference.engine import session_options, to_float


class FeatureEngine:
    """Computes features with an artifact that was cut before its last layer. For several threads at once."""

    def __init__(self, network: Path) -> None:
        """Load an ONNX model of (N, 28, 28, 1) float32 in [0, 1] -> N rows. Raises ModelCorrupt."""
        try:
            self._session = onnxruntime.InferenceSession(
                network, session_options(threads=1), providers=["CPUExecutionProvider"]
            )
        # As for the engine itself: a dozen unrelated types, straight from C++.
        except Exception as error:
            raise ModelCorrupt(f"{network.name}: ONNX Runtime cannot load it: {error}") from error
        self._input = self._session.get_inputs()[0].name

    def features(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(N, 28, 28) uint8, 0 = background -> (N, F) float32, F being the version's own."""
        (rows,) = self._session.run(None, {self._input: to_float(images)[..., np.newaxis]})
        return np.asarray(rows, np.float32).reshape(len(images), -1)
