"""`digits train --watch`: how a run is shown on a terminal, in a log and to a program, and how Ctrl-C leaves
it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from digits.cli import training
from digits.cli.main import main
from digits.cli.progress import Progress
from digits.client.messages import training as messages
from digits.v1 import training_pb2 as pb

OPTIONS = pb.TrainingOptions(epochs=2)


def running(epoch: int, batch: int) -> pb.Training:
    """A run of two epochs with ten batches each."""
    history = [
        pb.EpochMetrics(epoch=done, loss=0.5, accuracy=0.8, validation_accuracy=0.9, duration_s=3)
        for done in range(1, epoch)
    ]
    return pb.Training(
        training_id="run",
        recipe="classic",
        options=OPTIONS,
        state=pb.TRAINING_STATE_RUNNING,
        progress=pb.TrainingProgress(
            phase=pb.TRAINING_PHASE_TRAINING,
            epoch=epoch,
            epochs=2,
            batch=batch,
            batches_per_epoch=10,
            remaining_s=4,
        ),
        history=history,
    )


def ended(state: str, **fields: Any) -> pb.Training:
    """The run when it is over."""
    run = running(3, 0)
    run.state = pb.TrainingState.Value(f"TRAINING_STATE_{state}")
    for name, value in fields.items():
        setattr(run, name, value)
    return run


class Terminal(io.StringIO):
    """A terminal to write to."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def server(stand_in: Any) -> Any:
    """A server with one run that succeeds, or ends as `server.last` says."""

    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        if arrived.path.endswith("StartTraining"):
            yield pb.StartTrainingResponse(training=running(1, 0))
        else:
            for run in (running(1, 5), running(2, 5), started.last):
                yield pb.WatchTrainingResponse(training=run)

    started = stand_in(behave)
    started.last = ended("SUCCEEDED", model_version=4)
    return started


def test_on_a_terminal_a_bar_moves_in_one_line() -> None:
    terminal = Terminal()
    progress = Progress(terminal)

    for run in (running(1, 5), running(2, 5)):
        progress.show(messages.training(run))

    first, second = terminal.getvalue().split("\r\x1b[K")[1:]
    assert "\n" not in terminal.getvalue()
    assert "25 %  epoch 1/2  4 s left" in first
    assert "75 %  epoch 2/2" in second
    assert second.count("#") == 3 * first.count("#")


def test_elsewhere_each_epoch_is_a_line(server: Any, capsys: Any) -> None:
    code = main(["--server", server.address, "train", "--preset", "classic", "--watch"])

    printed = capsys.readouterr()
    assert code == 0
    assert printed.err.splitlines() == [
        "run run",
        "epoch 1/2: loss 0.5000, accuracy 80.00 %, validation accuracy 90.00 %, 3.0 s",
        "epoch 2/2: loss 0.5000, accuracy 80.00 %, validation accuracy 90.00 %, 3.0 s",
    ]
    assert printed.out == "version 4 is ready: 90.00 % of the validation digits\n"


def test_a_program_gets_a_line_of_json_for_each_change(server: Any, capsys: Any) -> None:
    code = main(["--server", server.address, "--json", "train", "--preset", "classic", "--watch"])

    printed = capsys.readouterr()
    states = [json.loads(line)["state"] for line in printed.out.splitlines()]
    assert (code, states, printed.err) == (0, ["running", "running", "succeeded"], "")


def test_without_watch_the_run_is_named_and_left_to_itself(server: Any, capsys: Any) -> None:
    code = main(["--server", server.address, "train", "--preset", "classic", "--epochs", "3", "--deploy"])

    assert (code, capsys.readouterr().out) == (0, "run\n")
    [started] = server.calls
    assert started.requests[0].options == pb.TrainingOptions(epochs=3)
    assert started.requests[0].deploy_when_done


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_run_that_does_not_succeed_is_a_failure(server: Any, capsys: Any, state: str) -> None:
    server.last = ended(state, failure_reason="the disk is full")

    code = main(["--server", server.address, "watch", "run"])

    assert code == 1
    assert f"ended {state.lower()}. the disk is full" in capsys.readouterr().err


def test_a_candidate_says_why_it_is_one(server: Any, capsys: Any) -> None:
    server.last = ended("SUCCEEDED", model_version=4)
    server.last.gate.reasons.append("It reads fewer validation digits.")

    main(["--server", server.address, "watch", "run"])

    assert capsys.readouterr().out.splitlines()[1:] == [
        "It stays a candidate:",
        "  It reads fewer validation digits.",
    ]


def test_a_watch_outlasts_a_server_that_restarts(stand_in: Any, capsys: Any, monkeypatch: Any) -> None:
    seen, away = threading.Event(), threading.Event()
    monkeypatch.setattr(training, "PAUSE_S", 0.05)
    monkeypatch.setattr(Progress, "say", lambda self, text: away.set())

    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        if len(server.calls) == 1:
            yield pb.WatchTrainingResponse(training=running(1, 5))
            seen.set()
            assert away.wait(60)
        yield pb.WatchTrainingResponse(training=ended("SUCCEEDED", model_version=4))

    def restart() -> None:
        assert seen.wait(60)
        server.vanish()
        assert away.wait(60)
        server.start()

    server = stand_in(behave)
    restarting = threading.Thread(target=restart)
    restarting.start()
    code = main(["--server", server.address, "watch", "run"])
    restarting.join()

    assert code == 0
    assert capsys.readouterr().out.startswith("version 4 is ready")


def test_ctrl_c_leaves_the_run_going_and_says_how_to_see_it(stand_in: Any) -> None:
    done = threading.Event()

    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        if arrived.path.endswith("StartTraining"):
            yield pb.StartTrainingResponse(training=running(1, 0))
        else:
            yield pb.WatchTrainingResponse(training=running(2, 5))
            assert done.wait(60)

    server = stand_in(behave)
    command = [sys.executable, "-m", "digits.cli", "train", "--preset", "classic", "--watch"]
    watching = subprocess.Popen(
        command,
        env=os.environ | {"DIGITS_SERVER": server.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stderr is not None
    lines = [watching.stderr.readline(), watching.stderr.readline()]
    watching.send_signal(signal.SIGINT)
    out, rest = watching.communicate(timeout=60)
    done.set()

    assert lines[1].startswith("epoch 1/2")
    assert watching.returncode == 130
    assert "digits watch run" in rest
    assert "Traceback" not in rest
    assert out == ""
    assert [call.path.rpartition("/")[2] for call in server.calls] == ["StartTraining", "WatchTraining"]
