"""Predict as the classic script does, in process: `model.predict` of one image.

    python tests/benchmarks/keras_predict.py MODEL.keras

For every line on standard input: the median milliseconds of so many calls, on standard output.
"""

from __future__ import annotations

import statistics
import sys
import time

import keras
import numpy as np


def main() -> None:
    model = keras.saving.load_model(sys.argv[1], compile=False)
    image = np.zeros((1, *model.input_shape[1:]), np.float32)
    model.predict(image, verbose=0)
    print("ready", flush=True)
    for line in sys.stdin:
        taken = []
        for _ in range(int(line)):
            started = time.perf_counter()
            model.predict(image, verbose=0)
            taken.append(time.perf_counter() - started)
        print(statistics.median(taken) * 1e3, flush=True)


if __name__ == "__main__":
    main()
