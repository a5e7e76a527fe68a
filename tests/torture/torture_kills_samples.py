"""Somebody who adds, relabels, deletes and imports samples, and knows which of them must be there."""

from __future__ import annotations

import io
import random
import uuid
import zipfile
from collections.abc import Iterable, Mapping

import cv2
import numpy as np
from digits.client import Client
from digits.client.records.sample import Sample
from torture_kills_facts import Image, Ledger, Presence, SampleFact, key_of

PAGE = 1000
ARCHIVE = 8
# From so many samples on as many are deleted as are added: a check looks at all of them.
ENOUGH = 150


class SampleWriter:
    """Changes samples of its own, one after the other."""

    def __init__(self, name: str, seed: int, ledger: Ledger) -> None:
        self.facts: dict[str, SampleFact] = {}
        """By the digest of their pixels."""
        self._name = name
        self._ledger = ledger
        self._random = random.Random(f"{name} {seed}")
        self._digits = np.random.default_rng([seed, *name.encode()])

    def step(self, client: Client) -> None:
        """One change, or one that is repeated. Raises ClientError."""
        kept = [fact for fact in self.facts.values() if fact.presence is Presence.HERE and fact.sample_id]
        if not kept:
            self._add(client)
            return
        fact = self._random.choice(kept)
        deleted = 30 if len(kept) < ENOUGH else 60
        weights = {"add": 45, "relabel": 25, "delete": deleted, "import": 2, "repeat": 3}
        match self._random.choices(list(weights), list(weights.values()))[0]:
            case "add":
                self._add(client)
            case "relabel":
                self._relabel(client, fact)
            case "delete":
                self._delete(client, fact)
            case "import":
                self._import(client)
            case _ if fact.request_id:
                self._send(client, fact)

    def compare(self, found: Mapping[str, Sample]) -> None:
        """Hold what is there (by the digest of its pixels) against what was told, and settle what was open.

        Only samples whose arrival was not answered stay open, until `retry`.
        """
        archives: dict[str, set[bool]] = {}
        for key, fact in self.facts.items():
            sample = found.get(key)
            is_new = fact.presence is Presence.EITHER and not fact.sample_id
            if is_new and fact.archive:
                archives.setdefault(fact.archive, set()).add(sample is not None)
            is_open = is_new and not fact.archive
            if sample is None:
                if fact.presence is Presence.HERE:
                    self._lose(fact, "was told to be kept and is not there")
                if not is_open:
                    fact.presence = Presence.GONE
                continue
            if fact.presence is Presence.GONE:
                self._lose(fact, "was told to be deleted and is there")
            if fact.sample_id not in ("", sample.sample_id):
                self._lose(fact, f"is there as {sample.sample_id}")
            if sample.label not in fact.labels:
                self._lose(fact, f"expected a label of {sorted(fact.labels)}, got {sample.label}")
            fact.sample_id, fact.labels = sample.sample_id, frozenset({sample.label})
            if not is_open:
                fact.presence = Presence.HERE
        for name, halves in archives.items():
            if len(halves) > 1:
                self._ledger.lose(f"{self._name}: half of the archive {name} is there")

    def retry(self, client: Client) -> None:
        """Send again what was not answered: it must come to one sample, the one that is there if it is.

        After `compare`. Raises ClientError.
        """
        for fact in list(self.facts.values()):
            if fact.presence is Presence.EITHER:
                self._send(client, fact)

    def _add(self, client: Client) -> None:
        fact = self._new(request_id=uuid.uuid4().hex)
        self._send(client, fact)

    def _send(self, client: Client, fact: SampleFact) -> None:
        """Send a sample, for the first time or again: the same request gives the same sample."""
        self._ledger.sending("add")
        label = min(fact.labels)
        sample = client.add_sample_pixels(fact.pixels, label, request_id=fact.request_id).sample
        if sample.pixels.tobytes() != fact.pixels.tobytes():
            self._lose(fact, "came back with other pixels")
        if fact.sample_id not in ("", sample.sample_id):
            self._lose(fact, f"was kept twice, again as {sample.sample_id}")
        if fact.presence is Presence.EITHER:
            self._ledger.acknowledge("add")
        fact.presence, fact.sample_id = Presence.HERE, sample.sample_id

    def _relabel(self, client: Client, fact: SampleFact) -> None:
        label = self._random.randrange(10)
        fact.labels |= {label}
        self._ledger.sending("relabel")
        client.update_sample(fact.sample_id, label)
        fact.labels = frozenset({label})
        self._ledger.acknowledge("relabel")

    def _delete(self, client: Client, fact: SampleFact) -> None:
        fact.presence = Presence.EITHER
        self._ledger.sending("delete")
        client.delete_sample(fact.sample_id)
        fact.presence = Presence.GONE
        self._ledger.acknowledge("delete")

    def _import(self, client: Client) -> None:
        name = uuid.uuid4().hex
        facts = [self._new(archive=name) for _ in range(ARCHIVE)]
        self._ledger.sending("import")
        told = client.import_samples(archive_of(facts))
        if told.added != len(facts):
            self._ledger.lose(f"{self._name}: the archive {name}: {told.added} of {len(facts)} were added")
        for fact in facts:
            # Their ids come with the next look at all samples.
            fact.presence = Presence.HERE
        self._ledger.acknowledge("import")

    def _new(self, request_id: str = "", archive: str = "") -> SampleFact:
        pixels: Image = np.zeros((28, 28), np.uint8)
        pixels[4:24, 9:19] = self._digits.integers(0, 256, (20, 10))
        fact = SampleFact(
            pixels, frozenset({self._random.randrange(10)}), request_id=request_id, archive=archive
        )
        self.facts[key_of(pixels)] = fact
        return fact

    def _lose(self, fact: SampleFact, what: str) -> None:
        which = fact.sample_id or fact.request_id or fact.archive
        self._ledger.lose(f"{self._name}: sample {which}: {what}")


def archive_of(facts: Iterable[SampleFact]) -> bytes:
    """An archive of samples, as docs/samples.md describes it."""
    facts = list(facts)
    names = [f"s{index}" for index in range(len(facts))]
    npz = io.BytesIO()
    np.savez(
        npz,
        sample_id=np.array(names),
        pixels=np.stack([fact.pixels for fact in facts]),
        label=np.array([min(fact.labels) for fact in facts]),
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("samples.npz", npz.getvalue())
        for name, fact in zip(names, facts, strict=True):
            archive.writestr(f"drawings/{name}.png", cv2.imencode(".png", fact.pixels)[1].tobytes())
    return file.getvalue()


def compare_samples(client: Client, writers: Iterable[SampleWriter], ledger: Ledger) -> None:
    """Hold all samples of a server against what their writers were told. Raises ClientError."""
    found: dict[str, Sample] = {}
    token = ""
    while True:
        page = client.list_samples(page_size=PAGE, page_token=token)
        for sample in page.samples:
            key = key_of(sample.pixels)
            if key in found:
                ledger.lose(f"sample {sample.sample_id} is {found[key].sample_id} once more")
            found[key] = sample
        if not (token := page.next_page_token):
            break
    if len(found) != page.total_size:
        ledger.lose(f"{page.total_size} samples are told, {len(found)} are listed")
    asked_for: set[str] = set()
    for writer in writers:
        writer.compare(found)
        asked_for |= writer.facts.keys()
    for key in found.keys() - asked_for:
        ledger.lose(f"nobody has asked for the sample {found[key].sample_id}")
