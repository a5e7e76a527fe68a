"""Start the server, the page and TensorBoard on this machine, and keep them up until Ctrl-C.

Each is a program of its own: this launcher imports none of them. One that dies is told in a line and started
again after a second; one that cannot start at all ends the demo with what it said.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"

START_TIMEOUT_S = 90.0
RESTART_AFTER_S = 1.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.2
# Deaths in a row, without becoming ready in between, until the demo gives up.
MAX_DEATHS = 5


class DemoFailed(Exception):
    """The demo cannot go on. The message says which program, why, and what to do."""


@dataclass
class Program:
    """One of the three programs: how to start it, how to see that it is ready, and what became of it."""

    name: str
    port: int
    setting: str
    command: list[str]
    environment: dict[str, str]
    is_ready: Callable[[int], bool]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    is_up: bool = False
    was_ever_up: bool = False
    deaths: int = 0

    def start(self) -> None:
        """Start it in a session of its own: Ctrl-C reaches only the launcher, which stops all in order."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_the_launcher if sys.platform == "linux" else None,
            )
        self.started = time.monotonic()
        self.is_up = False

    def last_words(self) -> str:
        """The end of what it wrote since the demo began."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"    {line}" for line in lines[-8:])


def main() -> int:
    """Keep the demo up until it is stopped. Exit code 0 then, 1 when it cannot go on."""
    programs: list[Program] = []
    stopping = _Stopping()
    try:
        data = _data_folder()
        programs += [_server(data), _tensorboard(data), _page(data)]
        for program in programs:
            _refuse_a_taken_port(program)
            program.log.write_bytes(b"")
        print("Digit Lab is starting …", flush=True)
        for program in programs:
            program.start()
        _keep_up(programs, stopping)
    except DemoFailed as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1
    finally:
        _stop(programs)
    print("Stopped.", flush=True)
    return 0


class _Stopping:
    """Ctrl-C, SIGTERM or a closed terminal ask for the end; nothing is interrupted half-way."""

    def __init__(self) -> None:
        self.is_asked = False
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, self._ask)
        if sys.platform == "linux":
            _end_with_the_launcher()  # `make` itself may be killed.

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self.is_asked:
            print("\nStopping …", flush=True)
        self.is_asked = True


def _data_folder() -> Path:
    data = Path(os.environ.get("DIGITS_DATA") or "data").expanduser().absolute()
    try:
        (data / "logs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoFailed(
            f"DIGITS_DATA: expected a folder that can be written, got {str(data)!r} ({error.strerror})"
        ) from None
    return data


def _server(data: Path) -> Program:
    port = _port("DIGITS_PORT", 50051)
    environment = os.environ | {"DIGITS_HOST": HOST, "DIGITS_PORT": str(port), "DIGITS_DATA": str(data)}
    command, log = [sys.executable, "-m", "server"], data / "logs" / "server.log"
    return Program("server", port, "DIGITS_PORT", command, environment, _serves, log)


def _tensorboard(data: Path) -> Program:
    port = _port("DIGITS_TENSORBOARD_PORT", 6006)
    command = [sys.executable, "-m", "server.tensorboard", "--logdir", str(data / "tensorboard")]
    command += ["--host", HOST, "--port", str(port)]
    setting, log = "DIGITS_TENSORBOARD_PORT", data / "logs" / "tensorboard.log"
    return Program("TensorBoard", port, setting, command, dict(os.environ), _answers("/"), log)


def _page(data: Path) -> Program:
    port = _port("DIGITS_FRONTEND_PORT", 8501)
    command = [sys.executable, "-m", "streamlit", "run", "frontend/app.py"]
    command += ["--server.address", HOST, "--server.port", str(port)]
    environment = os.environ | {"DIGITS_SERVER": f"{HOST}:{_port('DIGITS_PORT', 50051)}"}
    setting, log = "DIGITS_FRONTEND_PORT", data / "logs" / "page.log"
    return Program("page", port, setting, command, environment, _answers("/_stcore/health"), log)


def _port(setting: str, default: int) -> int:
    raw = os.environ.get(setting, "") or str(default)
    if not raw.isdecimal() or not 1 <= int(raw) <= 65535:
        raise DemoFailed(f"{setting}: expected a port from 1 to 65535, got {raw!r}")
    return int(raw)


def _refuse_a_taken_port(program: Program) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, program.port))
        except OSError as error:
            raise DemoFailed(
                f"{program.name}: port {program.port} cannot be used ({error.strerror}). "
                f"Stop what holds it, or choose another: {program.setting}=… make demo"
            ) from None


def _serves(port: int) -> bool:
    if not _is_open(port):
        return False
    command = [sys.executable, "-m", "server.healthcheck", f"{HOST}:{port}"]
    return subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL).returncode == 0


def _answers(path: str) -> Callable[[int], bool]:
    def is_ready(port: int) -> bool:
        if not _is_open(port):
            return False
        try:
            # No proxy of the environment stands between this machine and itself.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://{HOST}:{port}{path}", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return is_ready


def _is_open(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _keep_up(programs: list[Program], stopping: _Stopping) -> None:
    """Look after the programs until the end is asked for. Raises DemoFailed when one cannot be kept up."""
    is_told = False
    while not stopping.is_asked:
        for program in programs:
            _look_after(program)
        if not is_told and all(program.is_up for program in programs):
            page = programs[-1]
            print(f"\nOpen http://{HOST}:{page.port}", flush=True)
            print(f"\nCtrl-C stops everything. Logs are in {page.log.parent}", flush=True)
            is_told = True
        time.sleep(POLL_S)


def _look_after(program: Program) -> None:
    """Tell when a program becomes ready or dies, and start a dead one again. Raises DemoFailed to give up."""
    assert program.process is not None
    code = program.process.poll()
    age_s = time.monotonic() - program.started
    if code is not None:
        _start_again(program, code)
    elif not program.is_up and program.is_ready(program.port):
        program.is_up = program.was_ever_up = True
        program.deaths = 0
        print(f"  {program.name:<12} ready at {HOST}:{program.port} ({age_s:.1f} s)", flush=True)
    elif not program.is_up and age_s > START_TIMEOUT_S:
        words = program.last_words()
        raise DemoFailed(f"{program.name}: not ready after {START_TIMEOUT_S:.0f} s. It said last:\n{words}")


def _start_again(program: Program, code: int) -> None:
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    program.deaths += 1
    if program.deaths >= MAX_DEATHS or not program.was_ever_up:
        raise DemoFailed(f"{program.name}: it ended ({how}). It said last:\n{program.last_words()}")
    print(f"  {program.name:<12} ended ({how}); starting it again", flush=True)
    time.sleep(RESTART_AFTER_S)
    program.start()


def _stop(programs: list[Program]) -> None:
    """SIGTERM to each, and after a while SIGKILL to what is left, children of children included."""
    running = [program.process for program in reversed(programs) if program.process is not None]
    for process in running:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            print(f"  {process.args!r} did not stop in {STOP_TIMEOUT_S:.0f} s: killed", file=sys.stderr)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # Nothing of it is left, as it should be.
        process.wait()


def _end_with_the_launcher() -> None:
    """Ask Linux for a SIGTERM when the parent dies, so that `kill -9` of the launcher leaves no orphan."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
