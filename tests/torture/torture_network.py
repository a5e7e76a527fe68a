"""A bad network: between clients and server, between the page and its server, and twenty visitors at once.

Every call ends by its deadline with the right error, and is repeated where that is safe. What a client that
vanished had open is freed on the server. When the network is well, the same client goes on, and so does the
page, by itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import torture_network_calls as calls
import torture_network_once as once
import torture_network_page as page
import torture_network_sessions as sessions
from digits.client import Client
from digits.client.choices import Dataset
from playwright.sync_api import sync_playwright
from torture_network_calls import Scene, Tally
from torture_network_vanished import Vanished, reset, without_a_word
from torture_parts import ROOT, TortureServer, running, wait_until

sys.path.insert(0, str(ROOT / "tests" / "live"))
from live_page import launch_chromium


def run(folder: Path, is_quick: bool) -> dict[str, float]:
    """The figures of this part. `is_quick`: one fault of each kind, and two visitors."""
    tally = Tally()
    server = TortureServer(folder / "lab", DIGITS_MNIST="", DIGITS_METRICS_PORT="0")
    with running(server):
        scene = furnish(server, is_measured=not is_quick)
        calls.try_all(server.port, scene, tally, is_quick)
        once.once(server, tally, count=4 if is_quick else 60)
        if not is_quick:
            once.followed(server, scene, tally)
            clients = Vanished(server, scene, count=20)
            clients.leave(reset, tally)
            clients.leave(without_a_word, tally)
        with sync_playwright() as playwright:
            browser = launch_chromium(playwright)
            page.try_page(server, browser, folder, tally, is_quick)
            visitors = sessions.try_sessions(server, browser, folder, tally, is_quick=is_quick)
            browser.close()
        for fault in server.faults():
            tally.find(f"the server's log: {fault}")
    return {
        "network_faults": tally.faults,
        "network_hangs": tally.hangs,
        "network_errors": tally.findings,
        "network_late_s": tally.late_s,
        **visitors,
    }


def furnish(server: TortureServer, *, is_measured: bool) -> Scene:
    """A server with digits, a few samples, a run that has ended, and, if wanted, mistakes to look at."""
    png = seven()
    with Client(server.address) as client:
        wait_until(lambda: not client.list_datasets().data_progress, "the digits are prepared")
        read = client.predict(png).prediction
        for label in range(10):
            client.add_sample(drawing(label), label)
        run = client.cancel_training(client.start_training("classic").training_id)
        wait_until(lambda: client.get_training(run.training_id).state.is_final, "the run has ended")
        if is_measured:
            measured = client.evaluate(Dataset.BUILTIN_DIGITS).evaluation_id
            wait_until(lambda: client.get_evaluation(measured).end_time, "the mistakes are known")
        archive = b"".join(client.export_samples())
    return Scene(png, read.model_input, read.digit, run.training_id, archive)


def seven() -> bytes:
    """A seven as the canvas gives it, 280x280."""
    sheet = np.full((280, 280, 3), 255, np.uint8)
    cv2.polylines(sheet, [np.array([(80, 70), (200, 70), (130, 220)])], False, (36, 29, 29), 16, cv2.LINE_AA)
    return cv2.imencode(".png", sheet)[1].tobytes()


def drawing(digit: int) -> bytes:
    """A digit from a font, 280x280."""
    sheet = np.full((280, 280, 3), 255, np.uint8)
    cv2.putText(sheet, str(digit), (70, 220), cv2.FONT_HERSHEY_SIMPLEX, 7, (36, 29, 29), 18, cv2.LINE_AA)
    return cv2.imencode(".png", sheet)[1].tobytes()
