"""What may be done only once, and what is followed for long, over connections that break or fall silent."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
from digits.client import Client, ClientError, ServerUnavailable
from digits.client.records import TrainingOptions
from torture_network_calls import Scene, Tally
from torture_parts import ROOT, TortureServer, say, wait_until

sys.path.insert(0, str(ROOT / "tests" / "live"))
from live_proxy import CLEAR, SILENT, Proxy, Way

PATIENT_S = 60.0
# The client notices silence after 15 s; the rest is for a busy machine.
NOTICED_S = 90.0
LONG = TrainingOptions(epochs=200, batch_size=8)


def once(server: TortureServer, tally: Tally, count: int) -> None:
    """Changes whose request or answer is cut off: whatever is told as done has been done once."""
    chance = random.Random(1)
    with Client(server.address) as direct, Proxy(server.port) as proxy, Client(proxy.address) as client:
        before = direct.list_samples(page_size=1).total_size
        for number in range(count):
            tally.faults += 1
            way, size = chance.choice(list(Way)), chance.randrange(1, 4000)
            proxy.cut_next(way, size)
            try:
                client.add_sample(odd_drawing(number), number % 10, timeout_s=PATIENT_S)
            except ClientError as error:
                tally.find(f"add_sample, cut {way.value} after {size} bytes: {error!r}")
        kept = direct.list_samples(page_size=1).total_size - before
        if kept != count:
            tally.find(f"{count} samples were added over connections that were cut, {kept} are kept")
        runs = direct.list_trainings().total_size
        proxy.cut_next(Way.TO_CLIENT, 10)
        run = client.start_training("classic", LONG, timeout_s=PATIENT_S)
        direct.cancel_training(run.training_id)
        if (started := direct.list_trainings().total_size - runs) != 1:
            tally.find(f"one training was started over a connection that was cut, there are {started}")
        _import_once(direct, client, proxy, tally)
    say(f"done once: {count} samples, a training and an archive over connections that were cut")


def _import_once(direct: Client, client: Client, proxy: Proxy, tally: Tally) -> None:
    """An archive that is cut off, as it goes or as it is answered, is there whole or not at all."""
    archive = b"".join(direct.export_samples())
    held = list(direct.list_samples(page_size=1000).samples)
    for sample in held[::2]:
        direct.delete_sample(sample.sample_id)
    for way, size in ((Way.TO_SERVER, len(archive) // 2), (Way.TO_CLIENT, 5)):
        tally.faults += 1
        proxy.cut_next(way, size)
        try:
            client.import_samples(archive, timeout_s=PATIENT_S)
            tally.find(f"import_samples, cut {way.value}: told as done, though its connection was cut")
        except ServerUnavailable:
            there = direct.list_samples(page_size=1).total_size
            if there not in (len(held) - len(held[::2]), len(held)):
                tally.find(f"import_samples, cut {way.value}: {there} samples of {len(held)} are there")
        except ClientError as error:
            tally.find(f"import_samples, cut {way.value}: {error!r}")
    # Nobody repeats an import: what is safe to repeat finds a new connection first.
    client.get_model(timeout_s=PATIENT_S)
    client.import_samples(archive, timeout_s=PATIENT_S)
    if (there := direct.list_samples(page_size=1).total_size) != len(held):
        tally.find(f"import_samples, told as done: {there} samples of {len(held)} are there")


def followed(server: TortureServer, scene: Scene, tally: Tally) -> None:
    """A run is watched to its end through resets and silence; a bulk prediction is told that it broke."""
    with Client(server.address) as direct, Proxy(server.port) as proxy, Client(proxy.address) as client:
        run = direct.start_training("classic", LONG).training_id
        seen: list[str] = []
        watching = threading.Thread(target=_watch, args=(client, run, seen), daemon=True)
        watching.start()
        for strike in (proxy.reset_all, lambda: _silence(proxy), proxy.reset_all):
            tally.faults += 1
            count = len(seen)
            wait_until(lambda count=count: len(seen) > count, "the watcher hears of the run")
            strike()
        count = len(seen)
        wait_until(lambda: len(seen) > count, "the watcher hears of the run again", NOTICED_S)
        direct.cancel_training(run)
        watching.join(NOTICED_S)
        if watching.is_alive() or seen[-1] != "CANCELLED":
            tally.find(f"watch_training through resets and silence: ended with {seen[-1:]}")
        tally.faults += 1
        _bulk(client, proxy, scene, tally)
    say("followed: a run through two resets and a silence; a bulk prediction that was cut off")


def _watch(client: Client, run: str, seen: list[str]) -> None:
    try:
        seen.extend(state.state.name for state in client.watch_training(run))
    except ClientError as error:
        seen.append(repr(error))


def _silence(proxy: Proxy) -> None:
    """The connections of now fall silent for ever."""
    proxy.change(SILENT)
    proxy.forget_all()
    time.sleep(2.0)
    proxy.change(CLEAR)


def _bulk(client: Client, proxy: Proxy, scene: Scene, tally: Tally) -> None:
    answered = 0
    started = time.monotonic()
    try:
        for _ in client.stream_predict(_endless(scene.png)):
            answered += 1
            if answered == 50:
                _silence(proxy)
        tally.find("stream_predict, in silence: ended as if it were complete")
    except ServerUnavailable as error:
        if time.monotonic() - started > NOTICED_S:
            tally.hangs += 1
            say("FOUND", [f"stream_predict: its end was noticed after {time.monotonic() - started:.0f} s"])
        say(f"a bulk prediction fell silent and ended after {time.monotonic() - started:.0f} s: {error.code}")
    except ClientError as error:
        tally.find(f"stream_predict, in silence: {error!r}")


def _endless(png: bytes) -> Iterator[bytes]:
    while True:
        yield png


def odd_drawing(number: int) -> bytes:
    """A drawing, 280x280, like no other."""
    points = np.random.default_rng(number).integers(60, 220, (5, 1, 2)).astype(np.int32)
    sheet = np.full((280, 280, 3), 255, np.uint8)
    cv2.polylines(sheet, [points], False, (36, 29, 29), 14, cv2.LINE_AA)
    return cv2.imencode(".png", sheet)[1].tobytes()
