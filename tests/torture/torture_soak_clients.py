"""Many clients, a program of its own: they ask for everything, over and over, and check every answer.

    python tests/torture/torture_soak_clients.py ADDRESS BOOK --clients 50 --seconds 600 --seed 1

Each has a connection of its own, which it drops now and then for a new one, and waits for its answer before
it asks again. What it prints at the end is JSON: how many calls, how they ended, how long predictions took.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
from digits.client import AsyncClient, ClientError, Deadlines, Refused
from digits.client.choices import ExportFormat
from digits.client.records import Answer
from torture_soak_book import VERSIONS, Book

# For two cores that two hundred share with a training and a browser: what counts is that an answer comes.
DEADLINES = Deadlines(read_s=60, predict_s=60, change_s=120, transfer_s=240)
# Beyond this after the end the program is not waited for any more.
LAST_CALLS_S = 240.0
MOST_FINDINGS = 20
# Calls on one connection.
CONNECTION_CALLS = 400


class Wrong(Exception):
    """An answer that is not the right one."""


class Results:
    """What became of the calls of all clients."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.refused = 0
        self.errors = 0
        self.findings: list[str] = []
        self.predict_ms: list[float] = []

    def find(self, what: str) -> None:
        """Count an error, and keep the first ones."""
        self.errors += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(what)

    def told(self) -> dict[str, Any]:
        """For the soak."""
        return {
            "answered": dict(self.answered),
            "refused": self.refused,
            "errors": self.errors,
            "findings": self.findings,
            "predict_ms": [round(taken, 2) for taken in self.predict_ms],
        }


class Person:
    """One client."""

    def __init__(self, address: str, book: Book, results: Results, seed: int) -> None:
        self._address = address
        self._book = book
        self._results = results
        self._seed = seed
        self._random = random.Random(seed)
        self._samples: list[str] = []
        self._client: AsyncClient
        self._acts: dict[Callable[[], Awaitable[None]], int] = {
            self.predict_pixels: 34,
            self.predict_drawing: 30,
            self.predict_batch: 5,
            self.stream_predict: 3,
            self.read_number: 5,
            self.explain: 3,
            self.look_at_models: 4,
            self.look_at_runs: 3,
            self.look_at_mistakes: 2,
            self.look_at_samples: 3,
            self.add_sample: 3,
            self.relabel_sample: 1,
            self.delete_sample: 3,
            self.watch_training: 1,
            self.export: 1,
        }

    async def live(self, until: float) -> None:
        """Ask until that moment of `time.monotonic()`, then clean up."""
        acts, weights = list(self._acts), list(self._acts.values())
        while time.monotonic() < until:
            async with AsyncClient(self._address, deadlines=DEADLINES) as self._client:
                for _ in range(CONNECTION_CALLS):
                    if time.monotonic() >= until:
                        break
                    await self._do(self._random.choices(acts, weights)[0])
        async with AsyncClient(self._address, deadlines=DEADLINES) as self._client:
            while self._samples:
                await self._do(self.delete_sample)

    async def _do(self, act: Callable[[], Awaitable[None]]) -> None:
        name = act.__name__
        try:
            await act()
        except Refused as error:
            if error.code == "RESOURCE_EXHAUSTED" and error.retry_after_s is not None:
                self._results.refused += 1
                await asyncio.sleep(error.retry_after_s)
                return
            self._results.find(f"client {self._seed}, {name}: {error!r} {error.code} {error.request_id}")
        except ClientError as error:
            self._results.find(f"client {self._seed}, {name}: {error!r} {error.code} {error.request_id}")
            await asyncio.sleep(1.0)  # So that one that is away does not fill the list at once.
        except Wrong as error:
            self._results.find(f"client {self._seed}, {name}: {error}")
        else:
            self._results.answered[name] += 1

    def _version(self) -> int:
        """Which version to ask: mostly the deployed one, by 0."""
        return self._random.choice((0, 0, 0, *VERSIONS))

    def _check(self, answers: np.ndarray, index: int, asked: int, answer: Answer) -> None:
        self._check_version(asked, answer.model_version)
        if not self._book.is_right(answers, index, answer.model_version, answer.prediction):
            raise Wrong(
                f"image {index}, a {self._book.labels[index]}: version {answer.model_version} read "
                f"{answer.prediction.digit}, {np.round(answer.prediction.probabilities, 4).tolist()}"
            )

    def _check_version(self, asked: int, answered: int) -> None:
        if answered not in VERSIONS or asked not in (0, answered):
            raise Wrong(f"version {asked} was asked, {answered} answered")

    def _image(self) -> int:
        return self._random.randrange(len(self._book.labels))

    async def predict_pixels(self) -> None:
        """One raw image."""
        index, version = self._image(), self._version()
        started = time.perf_counter()
        answer = await self._client.predict_pixels(self._book.pixels[index], model_version=version)
        self._results.predict_ms.append((time.perf_counter() - started) * 1e3)
        self._check(self._book.of_pixels, index, version, answer)

    async def predict_drawing(self) -> None:
        """One PNG file."""
        index, version = self._image(), self._version()
        started = time.perf_counter()
        answer = await self._client.predict(self._book.drawings[index], model_version=version)
        self._results.predict_ms.append((time.perf_counter() - started) * 1e3)
        self._check(self._book.of_drawings, index, version, answer)

    async def predict_batch(self) -> None:
        """Sixteen PNG files, which one version reads."""
        indices, version = [self._image() for _ in range(16)], self._version()
        images = [self._book.drawings[index] for index in indices]
        answer = await self._client.predict_batch(images, model_version=version)
        self._check_version(version, answer.model_version)
        for index, prediction in zip(indices, answer.predictions, strict=True):
            if not self._book.is_right(self._book.of_drawings, index, answer.model_version, prediction):
                raise Wrong(
                    f"image {index} in a batch: version {answer.model_version} read {prediction.digit}"
                )

    async def stream_predict(self) -> None:
        """Twenty-four PNG files in a stream, each answered in its place."""
        indices, version = [self._image() for _ in range(24)], self._version()
        images = [self._book.drawings[index] for index in indices]
        answered = 0
        async for outcome in self._client.stream_predict(images, model_version=version):
            if isinstance(outcome, ClientError):
                raise Wrong(f"image {indices[answered]} in a stream: {outcome!r}")
            self._check(self._book.of_drawings, indices[answered], version, outcome)
            answered += 1
        if answered != len(indices):
            raise Wrong(f"{answered} of {len(indices)} images of a stream were answered")

    async def read_number(self) -> None:
        """Several digits in one image."""
        version = self._version()
        answer = await self._client.read_number(self._book.number, model_version=version)
        self._check_version(version, answer.model_version)
        if answer.text != (expected := self._book.numbers[VERSIONS.index(answer.model_version)]):
            raise Wrong(f"version {answer.model_version} read {answer.text}, expected {expected}")

    async def explain(self) -> None:
        """What an answer rests on."""
        index, version = self._image(), self._random.choice(VERSIONS)
        explained = await self._client.explain_pixels(self._book.pixels[index], model_version=version)
        self._check_version(version, explained.model_version)

    async def look_at_models(self) -> None:
        """The versions, and what was deployed."""
        found = await self._client.list_models()
        if not {model.model_version for model in found.models} >= set(VERSIONS):
            raise Wrong(
                f"of versions 1 and 2 only {[model.model_version for model in found.models]} are told"
            )
        await self._client.get_model()
        await self._client.list_deployments()

    async def look_at_runs(self) -> None:
        """The runs and the recipes."""
        await self._client.list_trainings()
        await self._client.list_recipes()

    async def look_at_mistakes(self) -> None:
        """The test digits."""
        await self._client.list_datasets()
        await self._client.get_evaluation(model_version=1)

    async def look_at_samples(self) -> None:
        """What people drew."""
        await self._client.list_samples(page_size=20)

    async def add_sample(self) -> None:
        """Keep a drawing."""
        index = self._image()
        added = await self._client.add_sample(self._book.drawings[index], self._book.labels[index])
        self._samples.append(added.sample.sample_id)

    async def relabel_sample(self) -> None:
        """Correct one of one's own."""
        if self._samples:
            label = self._random.randrange(10)
            sample = await self._client.update_sample(self._random.choice(self._samples), label)
            if sample.label != label:
                raise Wrong(f"a sample was relabelled {label}, and is told as {sample.label}")

    async def delete_sample(self) -> None:
        """Forget one of one's own."""
        if self._samples:
            await self._client.delete_sample(self._samples.pop())

    async def watch_training(self) -> None:
        """The newest run, for a few changes."""
        runs = (await self._client.list_trainings(1)).trainings
        seen = 0
        if runs and not runs[0].state.is_final:
            async with aclosing(self._client.watch_training(runs[0].training_id)) as states:
                async for _ in states:
                    seen += 1
                    if seen == 3:
                        break

    async def export(self) -> None:
        """A version as a file, checked by its checksum."""
        await self._client.export_model(ExportFormat.ONNX, self._random.choice(VERSIONS))


async def soak(address: str, book: Book, clients: int, seconds: float, seed: int) -> Results:
    """Run so many clients for so long."""
    results = Results()
    until = time.monotonic() + seconds
    people = [Person(address, book, results, seed * 1000 + number) for number in range(clients)]
    tasks = [asyncio.ensure_future(person.live(until)) for person in people]
    done, late = await asyncio.wait(tasks, timeout=seconds + LAST_CALLS_S)
    for task in late:
        results.find("a client did not end")
        task.cancel()
    for task in done:
        if error := task.exception():
            results.find(f"a client broke down: {error!r}")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask a server for everything, and check every answer.")
    parser.add_argument("address")
    parser.add_argument("book", type=Path)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    book = Book.load(chosen.book)
    results = asyncio.run(soak(chosen.address, book, chosen.clients, chosen.seconds, chosen.seed))
    json.dump(results.told(), sys.stdout)


if __name__ == "__main__":
    main()
