"""The training child as its parent sees it: start it, hear it, end it, and tell how it ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import server
from server.failures import explain
from server.protocol import STOP, TrainingSpec

log = logging.getLogger(__name__)

# From the request to end until the child is killed; it saves nothing on the way out, so it needs no longer.
TERMINATE_S = 1.0

# What a program needs of its surroundings, and what points it to a GPU. Settings of the server are not
# among them.
PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "LD_LIBRARY_PATH")
PASSED_ON_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "XLA_", "TF_")

# How a program ends that somebody or the system ended: it can go on where it was.
CUT_OFF = tuple(-number for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
# The words of C++, of the C library, of the loader, and of a thread that finds no room for its stack.
OUT_OF_MEMORY = (
    "bad_alloc",
    "cannot allocate memory",
    "failed to allocate",
    "out of memory",
    "resource temporarily unavailable",
)

SIGNALS = {
    signal.SIGKILL: (
        "was killed (SIGKILL): by somebody, or by the system because memory ran out; "
        "start again, with a smaller batch size if memory is short"
    ),
    signal.SIGTERM: "was told to end (SIGTERM) by somebody; start again",
    signal.SIGSEGV: (
        "ended by a memory fault (SIGSEGV), as a library may when memory runs out; "
        "start again, with a smaller batch size if memory is short"
    ),
    signal.SIGBUS: "ended by a bus error (SIGBUS): disk or memory may be full; free some and start again",
    signal.SIGILL: "ended by an instruction this processor does not know (SIGILL): TensorFlow needs AVX",
    signal.SIGABRT: "ended by a fault in a library (SIGABRT); the run's log may tell more",
}


class TrainingChild:
    """A running `python -m server.trainer`. `stop` may be called from any thread."""

    def __init__(self, spec: TrainingSpec, log_file: Path, scratch: Path) -> None:
        """Start the child. What it and its libraries print goes to `log_file`, their files to the folder
        `scratch`. Raises OSError.
        """
        self._log_file = log_file
        # TensorFlow leaves files there for each function that it compiles, and a child that is ended at once
        # takes none away.
        self._scratch = scratch
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True)
        with log_file.open("wb") as stderr:
            self._process = subprocess.Popen(
                # -P: the folder that the server was started from is not searched for modules.
                [sys.executable, "-P", "-m", "server.trainer"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=child_environment(os.environ, self._scratch),
                # A group of its own: Ctrl-C in the server's terminal is the server's to deal with. Not a
                # session of its own: Linux gives each of those the same share of the processor, however nice.
                process_group=0,
            )
        assert (
            self._process.stdin is not None
        )  # Open for as long as this process lives: the child ends with it.
        with contextlib.suppress(BrokenPipeError):  # Dead already: `events` ends at once, `wait` tells why.
            self._process.stdin.write(json.dumps(spec.to_json()).encode() + b"\n")
            self._process.stdin.flush()

    @property
    def place(self) -> Mapping[str, str | int]:
        """The child's process id."""
        return {"pid": self._process.pid}

    def events(self) -> Iterator[dict[str, Any]]:
        """Every event of the child, until it ends; see `server.protocol`."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                yield json.loads(line)
            except ValueError:
                # A child that was killed in the middle of a line.
                log.warning("half a line from the training child", extra={"line": repr(line[:200])})

    def end_early(self) -> None:
        """Ask the child to finish with its best epoch so far. Returns at once."""
        with contextlib.suppress(BrokenPipeError, ValueError):  # Dead, or done and closed: nothing to end.
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(STOP).encode() + b"\n")
            self._process.stdin.flush()

    def stop(self) -> None:
        """End the child at once: ask, and kill when it does not listen. Returns when it is gone."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(TERMINATE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def was_cut_off(self) -> bool:
        """Whether the child, which has ended, was ended from outside, not by a fault of its own."""
        return self._process.returncode in CUT_OFF

    @property
    def was_lost(self) -> bool:
        """Never: it is on this machine."""
        return False

    def wait(self) -> str:
        """Wait for the child to end. Empty when it ended well, else how it ended, as a sentence."""
        code = self._process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        if code == 0:
            return ""
        last_words = self._last_words(code)
        # C++ ends the program when memory runs out, Python's own MemoryError is told as an event.
        if any(word in last_words.lower() for word in OUT_OF_MEMORY):
            return explain(MemoryError())
        return f"the training program {_ending(code)}{last_words}"

    def _last_words(self, code: int) -> str:
        """The last line of the child's log, where it has to do with the end."""
        log_lines = self._log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        # Structured lines are for programs, and none of them is a cry of a library that fails.
        lines = [line for line in log_lines if not line.startswith('{"time": ')]
        was_ended_from_outside = -code in (signal.SIGKILL, signal.SIGTERM)
        return (
            f"; the last line of its log: {lines[-1][:300]}" if lines and not was_ended_from_outside else ""
        )


def _ending(code: int) -> str:
    if code > 0:
        return f"ended with exit code {code}"
    try:
        number = signal.Signals(-code)
    except ValueError:
        return f"ended by signal {-code}"
    return SIGNALS.get(number, f"ended by {number.name}")


def child_environment(own: Mapping[str, str], scratch: Path) -> dict[str, str]:
    passed = {
        name: value for name, value in own.items() if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
    }
    return {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **passed,
        "TMPDIR": str(scratch.resolve()),
        # Whatever the current folder is, the child runs the same code as its parent.
        "PYTHONPATH": str(Path(server.__file__).resolve().parents[1]),
        "PYTHONUNBUFFERED": "1",
        "KERAS_BACKEND": "tensorflow",
    }
