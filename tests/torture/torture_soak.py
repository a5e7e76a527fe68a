"""Two hundred clients for ten minutes, while trainings run, versions are swapped and visitors come and go.

Every answer is checked. Nothing fails but what is refused for overload, with a time to return that clients
keep to; memory, threads and file handles of the server and of the page stay as they are after a warm-up.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torture_soak_scene as scene
from digits.client import Client, ClientError, Deadlines
from digits.client.choices import TrainingState
from digits.client.records import TrainingOptions
from torture_parts import ROOT, TortureServer, running, say
from torture_soak_book import VERSIONS
from torture_soak_watch import Growth, Watch

sys.path.insert(0, str(ROOT / "tests" / "live"))
from live_page import LiveApp

HERE = Path(__file__).resolve().parent
PATIENT = Deadlines(read_s=60, predict_s=60, change_s=120, stream_s=1800)
SWAP_EVERY_S = 1.0
# What programs may take beyond their time: the last calls, and a browser that closes.
LATE_S = 400.0
SOAK_S = 600.0


@dataclass(frozen=True)
class Load:
    """How much of everything."""

    seconds: float
    programs: int
    clients: int
    """In each program."""
    visitors: int
    """At a time."""


@dataclass
class Findings:
    """What went wrong, in the order in which it was found. Safe to share between threads."""

    told: list[str] = field(default_factory=list)

    def find(self, what: str) -> None:
        """Tell something that is not as it should be."""
        self.told.append(what)
        say("FOUND", [what])


def run(folder: Path, is_quick: bool) -> dict[str, float]:
    """The figures of this part. `is_quick`: twenty clients for six seconds."""
    return soak(folder, Load(6.0, 1, 20, 1) if is_quick else Load(SOAK_S, 4, 50, 3))


def soak(folder: Path, load: Load) -> dict[str, float]:
    """The figures of a soak with so much load, in an empty folder."""
    server = TortureServer(folder, DIGITS_MNIST="", DIGITS_METRICS_PORT="0")
    findings = Findings()
    with running(server):
        server.stop()
        scene.add_second_version(server)
        server.start()
        with Client(server.address, deadlines=PATIENT) as client:
            scene.write_book(client).save(folder / "book.json")
        app = LiveApp(server.address, folder / "page.log")
        try:
            app.wait()
            figures = under_load(server, app, load, folder, findings)
        finally:
            app.close()
        for fault in server.faults():
            findings.find(f"the server's log: {fault}")
    return {"soak_errors": len(findings.told), **figures}


def under_load(
    server: TortureServer, app: LiveApp, load: Load, folder: Path, findings: Findings
) -> dict[str, float]:
    """Start everything at once, wait for its end, and put the figures together."""
    is_over = threading.Event()
    with Client(server.address, deadlines=PATIENT) as client:
        beside = [
            threading.Thread(target=work, args=(client, is_over, findings), name=work.__name__)
            for work in (train, swap)
        ]
        watches = [Watch(server.pid), Watch(app.pid)]
        programs = [
            start(
                "clients",
                server.address,
                folder / "book.json",
                clients=load.clients,
                seconds=load.seconds,
                seed=n,
            )
            for n in range(load.programs)
        ]
        visiting = start("visitors", app.url, seconds=load.seconds, together=load.visitors, pictures=folder)
        for thread in beside:
            thread.start()
        is_over.wait(load.seconds)
        # What ends and cleans up from now on is no load.
        growths = [watch.stop() for watch in watches]
        told = [end(program, LATE_S, findings) for program in programs]
        visits = end(visiting, LATE_S, findings)
        is_over.set()
        for thread in beside:
            thread.join()
    for finding in [*visits["findings"], *(finding for one in told for finding in one["findings"])]:
        findings.find(finding)
    taken = np.concatenate([one["predict_ms"] for one in told])
    answered = {name: sum(one["answered"].get(name, 0) for one in told) for name in told[0]["answered"]}
    ended = handled(server)
    say(f"answered: {answered}; {visits['visits']} visits")
    say("not answered: " + ", ".join(f"{' '.join(key)} {n}" for key, n in ended.items() if key[1] != "OK"))
    return {
        "soak_requests": sum(answered.values()),
        # Their clients kept to the time to return, and asked again.
        "soak_refused": sum(n for (_, code), n in ended.items() if code == "RESOURCE_EXHAUSTED"),
        "soak_visits": visits["visits"],
        "soak_p50_ms": float(np.percentile(taken, 50)),
        "soak_p99_ms": float(np.percentile(taken, 99)),
        **grown("soak", growths[0]),
        **grown("soak_page", growths[1]),
    }


def grown(name: str, growth: Growth) -> dict[str, float]:
    """The figures of a process."""
    return {
        f"{name}_rss_growth_pct": growth.rss_pct,
        f"{name}_threads_growth": growth.threads,
        f"{name}_handles_growth": growth.handles,
        f"{name}_rss_mb": growth.rss_mb,
    }


def train(client: Client, is_over: threading.Event, findings: Findings) -> None:
    """One short training after the other; what it makes is deleted again."""
    made = 0
    while not is_over.is_set():
        try:
            run = client.start_training("classic", TrainingOptions(epochs=1))
            for state in client.watch_training(run.training_id):
                run = state
                if is_over.is_set() and not run.state.is_final:
                    client.cancel_training(run.training_id)
            if run.state is TrainingState.FAILED:
                findings.find(f"the training {run.training_id} failed: {run.failure_reason}")
            if run.state is TrainingState.SUCCEEDED:
                made += 1
                client.delete_model(run.model_version)
        except ClientError as error:
            # Whoever cancels may come a moment too late.
            if error.reason != "TRAINING_FINISHED":
                findings.find(f"training: {error!r} {error.code} {error.request_id}")
                is_over.wait(1.0)
    say(f"{made} trainings")


def swap(client: Client, is_over: threading.Event, findings: Findings) -> None:
    """Deploy one version after the other; whoever asks then is answered by it."""
    png = scene.drawn(np.pad(np.full((12, 4), 255, np.uint8), ((8, 8), (12, 12))))
    swaps = 0
    while not is_over.wait(SWAP_EVERY_S):
        version = VERSIONS[(swaps + 1) % 2]
        try:
            client.deploy_model(version)
            if (answered := client.predict(png).model_version) != version:
                findings.find(f"version {version} was deployed, and {answered} answers")
            swaps += 1
        except ClientError as error:
            findings.find(f"deploying version {version}: {error!r} {error.code} {error.request_id}")
    say(f"{swaps} swaps")


def start(name: str, *arguments: str | Path, **options: float | Path) -> subprocess.Popen[str]:
    """Start one of the programs beside this one: `torture_soak_<name>.py`."""
    given = [f"--{option}={value}" for option, value in options.items()]
    command = [sys.executable, str(HERE / f"torture_soak_{name}.py"), *map(str, arguments), *given]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def end(program: subprocess.Popen[str], timeout_s: float, findings: Findings) -> dict[str, Any]:
    """What a program tells at its end; nothing, which is found, when it breaks down or does not end."""
    nothing = {"answered": {}, "findings": [], "predict_ms": [], "visits": 0}
    try:
        told, _ = program.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        program.kill()
        program.communicate()
        findings.find(f"{program.args} did not end")
        return nothing
    if program.returncode:
        findings.find(f"{program.args} ended with {program.returncode}")
        return nothing
    outcome: dict[str, Any] = json.loads(told)
    return outcome


def handled(server: TortureServer) -> Counter[tuple[str, str]]:
    """How calls have ended, by method and code, as the server counts them."""
    port = [event["metrics_port"] for event in server.events() if event["event"] == "serving"][-1]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as reply:
        lines = reply.read().decode().splitlines()
    counts: Counter[tuple[str, str]] = Counter()
    for line in lines:
        if line.startswith("grpc_server_handled_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            counts[labels["grpc_method"], labels["grpc_code"]] += int(float(line.rpartition(" ")[2]))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description="The soak alone, for as long as you like.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=SOAK_S)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True)
    for name, value in soak(chosen.folder, Load(chosen.seconds, 4, 50, 3)).items():
        print(f"{name:<32}{value:>14,.2f}")


if __name__ == "__main__":
    main()
