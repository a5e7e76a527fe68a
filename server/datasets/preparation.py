"""The preparation of the digits as the server sees it: a child process that nothing has to wait for."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType

from server.datasets.choice import is_current
from server.datasets.data import Data
from server.datasets.prepared import EXIT_REFUSED
from server.errors import DataPreparing, DatasetUnavailable

log = logging.getLogger(__name__)

# A child that is killed is started again this often; one that refuses is not, as it would only refuse again.
RESTARTS = 2
RETRY_AFTER_S = 1.0


class DataPreparation:
    """Prepares the digits in a child process, from the moment it is made until `close`.

    What an earlier start prepared from the same source can be used at once, while the child still checks it.
    Safe to use from several threads.
    """

    def __init__(self, root: Path, mnist: Path | None = None, url: str = "") -> None:
        """`root`: folder for the digits. `mnist`: DIGITS_MNIST. `url`: of MNIST, empty for no download."""
        self._root = root
        self._command = [
            sys.executable,
            "-m",
            "server.datasets.prepare",
            "--root",
            str(root),
            "--end-with-stdin",
        ]
        self._command += ["--mnist", str(mnist)] if mnist is not None else []
        self._command += ["--url", url] if url else []
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self._data: Data | None = None
        self._failure = ""
        self._progress = "starting to prepare the digits"
        if is_current(root, mnist):
            self._open()
            self._failure = ""  # a damaged folder is for the child to mend
        self._thread = threading.Thread(target=self._supervise, name="data-preparation", daemon=True)
        self._thread.start()

    @property
    def root(self) -> Path:
        """The folder of the prepared digits, for a program that opens them itself."""
        return self._root

    def data(self) -> Data:
        """The digits. Raises DataPreparing until they are there, DatasetUnavailable if they never will be."""
        with self._lock:
            if self._failure:
                raise DatasetUnavailable(self._failure)
            if self._data is None:
                raise DataPreparing(
                    f"the digits are not ready yet: {self._progress}", retry_after_s=RETRY_AFTER_S
                )
            return self._data

    def progress(self) -> str:
        """What the preparation does at this moment, or how it ended, in words for a person."""
        with self._lock:
            return self._failure or self._progress

    def wait(self, timeout_s: float) -> Data:
        """The digits as soon as the preparation ended, or after `timeout_s`; raises what `data` raises."""
        self._done.wait(timeout_s)
        return self.data()

    def close(self) -> None:
        """End the child, if it still runs. The digits that were opened stay usable."""
        with self._lock:
            self._is_closed = True
            child = self._child
        if child is not None:
            child.kill()  # every step of it is safe to be cut at any point
        self._thread.join()

    def __enter__(self) -> DataPreparation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _supervise(self) -> None:
        for attempt in range(RESTARTS + 1):
            try:
                status, reason = self._run_child()
            except OSError as error:
                status, reason = 1, f"the preparation of the digits could not be started: {error}"
            if status == 0:
                try:
                    self._open()
                except OSError as error:
                    self._fail(f"the prepared digits cannot be read: {error}")
                break
            if self._is_closed:
                break
            log.warning("data preparation ended early", extra={"exit_status": status, "reason": reason})
            if status == EXIT_REFUSED or attempt == RESTARTS:
                self._fail(reason)
                break
        self._done.set()

    def _run_child(self) -> tuple[int, str]:
        """One run of the child: its exit status, and why it ended in words where that is not 0."""
        with tempfile.TemporaryFile() as errors:
            with self._lock:
                if self._is_closed:
                    return -signal.SIGKILL, "closed"
                # Its standard input stays open as long as this process lives: the child ends with it.
                self._child = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
                )
            with self._child as child:
                assert child.stdout is not None
                for line in child.stdout:
                    self._take(line)
                status = child.wait()
            errors.seek(0)
            last_lines = errors.read().decode(errors="replace").strip().splitlines()[-1:]
        if status == EXIT_REFUSED and last_lines:
            return status, last_lines[0]
        how = (
            f"was ended by {signal.Signals(-status).name}"
            if status < 0
            else f"ended with exit status {status}"
        )
        return status, f"the preparation of the digits {how}" + "".join(f": {line}" for line in last_lines)

    def _take(self, line: bytes) -> None:
        try:
            progress = json.loads(line)
            step, message = str(progress["step"]), str(progress["message"])
        except (ValueError, KeyError, TypeError):  # a child that was killed within a line
            log.warning("unreadable progress of the data preparation", extra={"line": line[:200]})
            return
        log.info("data preparation", extra={"step": step, "progress": message})
        with self._lock:
            self._progress = message
            if step == "damaged":
                self._data = None

    def _open(self) -> None:
        try:
            data = Data.open(self._root)
        except DatasetUnavailable as error:
            self._fail(error.message)
            return
        with self._lock:
            self._data, self._failure = data, ""
        log.info(
            "digits opened",
            extra={
                "source": data.source.kind.value,
                "sha256": data.source.sha256,
                "has_mnist": data.has_mnist,
            },
        )

    def _fail(self, reason: str) -> None:
        """Give up on the digits, unless those of an earlier start are in use."""
        with self._lock:
            if self._data is not None:
                return
            self._failure = reason
        log.error("digits unavailable", extra={"reason": reason})
