"""The classic script, as a hundred tutorials have it: what training is measured against.

    python tests/benchmarks/classic_script.py mnist.npz [--epochs 10] [--seed 1]

Nothing is tuned here: Keras as people write it. The last line is JSON: the seconds that `model.fit` took,
and the accuracy on MNIST's test set.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the classic network with model.fit.")
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    keras.utils.set_random_seed(chosen.seed)

    with np.load(chosen.mnist, allow_pickle=False) as data:
        x_train, y_train = data["x_train"], data["y_train"]
        x_test, y_test = data["x_test"], data["y_test"]
    x_train = x_train.reshape(60000, 784).astype("float32") / 255
    x_test = x_test.reshape(10000, 784).astype("float32") / 255

    model = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(512, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    started = time.perf_counter()
    model.fit(x_train, y_train, batch_size=32, epochs=chosen.epochs, verbose=2)
    fit_s = time.perf_counter() - started
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(json.dumps({"fit_s": fit_s, "accuracy": accuracy}))


if __name__ == "__main__":
    main()
