"""The server and the replica that are killed, those who use them meanwhile, and the look at what is left."""

from __future__ import annotations

import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import psutil
from digits.client import Client, ClientError, Deadlines, ServerUnavailable
from softmax_regression import complete_version, fit
from torture_kills_facts import Ledger
from torture_kills_runs import RunWriter
from torture_kills_samples import SampleWriter, compare_samples
from torture_kills_versions import SEED, Answers, Reader, VersionWriter
from torture_parts import PATIENCE_S, TortureServer, wait_until

from server.datasets import Data
from server.models import ModelStore
from server.models.store import DEPLOYED, LAST_NUMBER, STAGING

SAMPLE_WRITERS = 3
IMAGES = 6
# A machine that others use too, and fsync on its disk.
PATIENT = Deadlines(read_s=60, predict_s=60, change_s=60)
# Reading is not to take writing the processor.
READ_PAUSE_S = 0.01
Step = Callable[[Client], None]


class Lab:
    """A data folder with a server and a replica on it, and those who write and read."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        # The built-in digits only, whatever this machine has.
        self.server = TortureServer(folder, DIGITS_MNIST="")
        self.replica = TortureServer(folder, "--read-only", data=self.server.data)
        self.models = self.server.data / "models"
        self.ledger = Ledger()
        self.samples = [SampleWriter(f"writer {n}", seed, self.ledger) for n in range(SAMPLE_WRITERS)]
        self.versions = VersionWriter(seed, self.ledger, self.models)
        self.runs = RunWriter(seed, self.ledger)
        self.restarts_s: list[float] = []
        self._seed = seed
        self._seeds = 0
        self._heard = 0
        self._heard_replica = 0
        # Odd while it is down.
        self._replica_turns = 0

    def open(self, versions: int) -> None:
        """Start the server once, so that all is there; put some small versions beside the shipped one."""
        self.server.start()
        with Client(self.server.address, deadlines=PATIENT) as client:
            wait_until(lambda: client.list_recipes().data_source, "the digits are prepared")
        self.server.stop()
        self._data = Data.open(self.server.data / "datasets")
        self.put_versions(versions)
        images = self._data.split(use_all=False).test.images[:IMAGES]
        self.answers = Answers(self.models, np.array(images))
        self.reader = Reader("reader", self._seed, self.ledger, self.answers)
        self.replica_reader = Reader("reader of the replica", self._seed, self.ledger, self.answers)
        self.server.start()
        self.replica.start()
        self.look()

    def put_versions(self, count: int) -> None:
        """Put small versions into the store of a server that does not run."""
        store = ModelStore(self.models)
        for _ in range(count):
            self._seeds += 1
            name = f"{SEED}{self._seeds}"
            staging = complete_version(
                store.staging(name), fit(self._data, steps=1 + self._seeds), self._data, training_id=name
            )
            store.commit(staging)

    def close(self) -> None:
        """End both, however they are doing."""
        self.replica.close()
        self.server.close()

    @contextmanager
    def at_work(self, pause_s: float) -> Iterator[None]:
        """Everybody at work in the block, each in a thread; each rests for a moment between two steps."""
        done = threading.Event()
        read_pause_s = max(pause_s, READ_PAUSE_S)
        work = [(writer.step, pause_s) for writer in (*self.samples, self.versions, self.runs)]
        work.append((self.reader.step, read_pause_s))
        threads = [
            threading.Thread(target=self._work, args=(step, rest_s, done), daemon=True)
            for step, rest_s in work
        ]
        threads.append(threading.Thread(target=self._read_replica, args=(read_pause_s, done), daemon=True))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            done.set()
            for thread in threads:
                thread.join()

    def _work(self, step: Step, pause_s: float, done: threading.Event) -> None:
        """One step after the other, until it is over or nobody answers. A refusal is a fault."""
        # No call is sent again by itself: whatever has no answer is to stay open.
        with Client(self.server.address, deadlines=PATIENT, retries=0) as client:
            while not done.wait(pause_s):
                try:
                    step(client)
                except ServerUnavailable:
                    done.wait()
                except ClientError as error:
                    self.ledger.fault(f"{step.__qualname__}: {error.code} {error.reason} {error.message}")
                except Exception:
                    self.ledger.fault(f"{step.__qualname__}: {traceback.format_exc()}")
                    done.wait()

    def _read_replica(self, pause_s: float, done: threading.Event) -> None:
        """The replica answers whatever happens to the server; only while it is down itself it need not."""
        while not done.wait(pause_s):
            turn = self._replica_turns
            try:
                with Client(self.replica.address, deadlines=PATIENT, retries=0) as client:
                    while not done.wait(pause_s):
                        self.replica_reader.step(client)
            except ClientError as error:
                if turn % 2 == 0 and turn == self._replica_turns:
                    self.ledger.fault(f"the replica: {error.code} {error.reason} {error.message}")

    def kill_replica(self) -> None:
        """Kill the replica and start it again, while everybody works."""
        self._hear_replica()
        self._replica_turns += 1
        self.replica.kill()
        self.replica.start()
        with Client(self.replica.address, deadlines=PATIENT) as client:
            self.replica_reader.read_all(client)
        self._replica_turns += 1

    def kill_child(self, timeout_s: float, after_s: float) -> bool:
        """Kill the training child some time after it is there; False when there is none in time."""
        deadline = time.monotonic() + timeout_s
        # What is told to end has no time to be killed.
        self.runs.spares = True
        try:
            while (child := self.server.trainer()) is None:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.01)
            training_id = Path(child.environ()["TMPDIR"]).stem
            time.sleep(after_s)
            # Before: it may be told at once that it was cut off.
            self.runs.cut(training_id)
            child.kill()
        except psutil.NoSuchProcess:
            return False  # It has come to its end by itself.
        finally:
            self.runs.spares = False
        return True

    def kill_server(self) -> None:
        """Kill the server."""
        self.runs.cut()
        self.server.kill()

    def kill_starting(self, after_s: float) -> None:
        """Start the server and kill it while it starts."""
        self.server.launch()
        time.sleep(after_s)
        self.kill_server()

    def restart(self) -> None:
        """Start the server again, and look at everything that it has to know."""
        left = list(self._programs())
        started = time.perf_counter()
        self.server.start()
        self.restarts_s.append(time.perf_counter() - started)
        self.look()
        self._await_end_of(left)

    def look(self) -> None:
        """Hold all that is there against all that was told, while nobody writes."""
        self._hear()
        self._look_at_disk()
        with Client(self.server.address, deadlines=PATIENT) as client:
            compare_samples(client, self.samples, self.ledger)
            self.runs.compare(client)
            self.versions.learn(self.runs.succeeded, {fact.training_id for fact in self.runs.live})
            self.versions.compare(client)
            for writer in (*self.samples, self.versions):
                writer.retry(client)
            # What was sent again must not have come to more than it was.
            compare_samples(client, self.samples, self.ledger)
            served = self.reader.read_all(client)
        with Client(self.replica.address, deadlines=PATIENT) as client:
            wait_until(
                lambda: self.replica_reader.read_all(client) == served or self._has_moved_on(served),
                f"the replica answers with version {served}",
                PATIENCE_S,
            )

    def finish(self) -> None:
        """End what still trains; then nothing may be left that only a run explains."""
        with Client(self.server.address, deadlines=PATIENT) as client:
            for fact in self.runs.live:
                self.runs.end(client, fact)
        self.look()
        left = [path.name for path in (self.models / STAGING).iterdir()]
        if left:
            self.ledger.lose(f"left in the staging area: {left}")

    def _has_moved_on(self, served: int) -> bool:
        """Whether a run has deployed its version meanwhile."""
        with Client(self.server.address, deadlines=PATIENT) as client:
            return client.get_model().model_version != served

    def _look_at_disk(self) -> None:
        """The database is sound, and nothing lies about."""
        with closing(sqlite3.connect(f"file:{self.server.data / 'digits.db'}?mode=ro", uri=True)) as database:
            verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
            broken = database.execute("PRAGMA foreign_key_check").fetchall()
        if verdict != "ok" or broken:
            self.ledger.lose(f"the database: {verdict} {broken}")
        live = {fact.training_id for fact in self.runs.live} | {""}
        if self.runs.open is not None:
            return  # It may be of the run whose start was not answered.
        data = self.server.data
        known = {STAGING, LAST_NUMBER, DEPLOYED, f"{LAST_NUMBER}.new", f"{DEPLOYED}.new"}
        left = [path.name for path in self.models.iterdir() if not path.name.isdigit()]
        strays = [f"models/{name}" for name in left if name not in known]
        for folder, suffix in (("models/.staging", ""), ("checkpoints", ""), ("logs", ".tmp")):
            for path in (data / folder).glob(f"*{suffix}"):
                if path.name.removesuffix(suffix) not in live:
                    strays.append(f"{folder}/{path.name}")
        strays += [f"samples/{path.name}" for path in (data / "samples").glob("incoming-*")]
        for stray in strays:
            self.ledger.fault(f"left over: {stray}")

    def _hear(self) -> None:
        """What the server has told of bugs since the last time."""
        for line in self.server.faults(self._heard):
            self.ledger.fault(f"in the server's log: {line}")
        self._heard = self.server.written
        self._hear_replica()

    def _hear_replica(self) -> None:
        for line in self.replica.faults(self._heard_replica):
            self.ledger.fault(f"in the replica's log: {line}")
        self._heard_replica = self.replica.written

    def _await_end_of(self, programs: list[psutil.Process]) -> None:
        """What a killed server had started ends by itself."""
        _, alive = psutil.wait_procs(programs, PATIENCE_S)
        for process in alive:
            self.ledger.fault(f"it outlives its server: {process}")
            process.kill()

    def _programs(self) -> Iterator[psutil.Process]:
        """The programs that work in the folder, but the replica."""
        for process in psutil.process_iter():
            try:
                told = [*process.cmdline(), *process.environ().values()]
            except psutil.Error:
                continue
            if process.pid != self.replica.pid and any(str(self.folder) in value for value in told):
                yield process
