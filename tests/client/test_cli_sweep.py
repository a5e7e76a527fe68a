"""`digits sweep`: what a range may be, how a sweep is shown, and how it is followed to its end."""

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
from digits.cli import sweep as commands
from digits.cli.main import main
from digits.cli.trials import SweepProgress
from digits.client.messages import sweep as messages
from digits.v1 import sweep_pb2 as pb
from digits.v1 import training_pb2

RATES = (0.0005, 0.00231, 0.02)


def trial(number: int, state: str, epochs: int = 0, accuracy: float | None = None, **fields: Any) -> pb.Trial:
    """A trial of three epochs, with a learning rate of its own."""
    return pb.Trial(
        number=number,
        state=pb.TrialState.Value(f"TRIAL_STATE_{state}"),
        options=training_pb2.TrainingOptions(
            learning_rate=RATES[number - 1], optimizer=training_pb2.OPTIMIZER_ADAM, epochs=3
        ),
        epochs=epochs,
        validation_accuracy=accuracy,
        **fields,
    )


FIRST = trial(1, "SUCCEEDED", 3, 0.975, model_version=2, duration_s=30)
BEHIND = trial(2, "FELL_BEHIND", 1, 0.91, duration_s=10)
LAST = trial(3, "SUCCEEDED", 3, 0.988, model_version=3, duration_s=32)


def sweep(state: str, *trials: pb.Trial, **fields: Any) -> pb.Sweep:
    """A sweep of a learning rate and an optimizer."""
    return pb.Sweep(
        sweep_id="many",
        recipe="cnn",
        ranges=[
            pb.SweepRange(option="learning_rate", min=5e-4, max=2e-2, logarithmic=True),
            pb.SweepRange(option="optimizer", values=["adam", "sgd"]),
        ],
        state=pb.SweepState.Value(f"SWEEP_STATE_{state}"),
        trials=trials,
        at_once=1,
        **fields,
    )


YOUNG = sweep("RUNNING", trial(1, "RUNNING"), trial(2, "WAITING"), trial(3, "WAITING"))
HALF = sweep("RUNNING", FIRST, BEHIND, trial(3, "RUNNING", 1, 0.97, duration_s=10), best_trial=1)
DONE = sweep("SUCCEEDED", FIRST, BEHIND, LAST, best_trial=3)


class Terminal(io.StringIO):
    """A terminal to write to."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def server(stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server with one sweep, which is asked for at each of its states; the last of them stays."""
    monkeypatch.setattr(commands, "POLL_S", 0.01)

    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        called = arrived.path.rpartition("/")[2]
        if called == "StartSweep":
            yield pb.StartSweepResponse(sweep=YOUNG)
        elif called == "StopSweep":
            yield pb.StopSweepResponse(sweep=sweep("STOPPED", FIRST, BEHIND, best_trial=1))
        elif called == "ListSweeps":
            yield pb.ListSweepsResponse(sweeps=started.listed, total_size=len(started.listed))
        else:
            state = started.states[0] if len(started.states) == 1 else started.states.pop(0)
            yield pb.GetSweepResponse(sweep=state)

    started = stand_in(behave)
    started.states = [YOUNG, HALF, DONE]
    started.listed = [DONE, YOUNG]
    return started


START = ("sweep", "start", "cnn", "--range", "learning_rate=0.0005:0.02:log", "--range", "optimizer=Adam,sgd")


def test_what_is_tried_reaches_the_server(server: Any, capsys: Any) -> None:
    more = ("--range", "batch-size=32:256", "--epochs", "2", "--trials", "6", "--keep-all", "--deploy")
    code = main(["--server", server.address, *START, *more])

    assert (code, capsys.readouterr().out) == (0, "many\n")
    (request,) = server.calls[0].requests
    assert list(request.ranges) == [
        pb.SweepRange(option="learning_rate", min=0.0005, max=0.02, logarithmic=True),
        pb.SweepRange(option="optimizer", values=["adam", "sgd"]),
        pb.SweepRange(option="batch_size", min=32, max=256),
    ]
    assert (request.recipe, request.trials, request.keep_all, request.deploy_when_done) == (
        "cnn",
        6,
        True,
        True,
    )
    assert request.options == training_pb2.TrainingOptions(epochs=2)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("learning_rate", "expected OPTION=MIN:MAX"),
        ("=1:2", "expected OPTION=MIN:MAX"),
        ("learning_rate=low:high", "expected two numbers"),
        ("learning_rate=1:2:lin", "expected MIN:MAX or MIN:MAX:log"),
        ("learning_rate=1:2:log:3", "expected MIN:MAX or MIN:MAX:log"),
    ],
)
def test_what_is_no_range_is_wrong_use(told: str, expected: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sweep", "start", "cnn", "--range", told])

    assert ended.value.code == 2
    assert expected in capsys.readouterr().err


def test_on_a_terminal_a_bar_counts_the_trials() -> None:
    terminal = Terminal()
    progress = SweepProgress(terminal)

    for state in (YOUNG, HALF):
        progress.show(messages.sweep(state))

    first, second = terminal.getvalue().split("\r\x1b[K")[1:]
    assert "\n" not in terminal.getvalue()
    assert first.endswith("0/3 trials  trial 1 in epoch 1")
    # The two that have ended took 20 s in the mean, and the third has trained for 10 s.
    assert "67 %  2/3 trials  about 10 s left  best" in second


def test_elsewhere_each_trial_is_a_line_and_the_best_one_the_result(server: Any, capsys: Any) -> None:
    code = main(["--server", server.address, *START, "--follow"])

    printed = capsys.readouterr()
    assert code == 0
    assert printed.err.splitlines() == [
        "sweep many",
        "trial 1/3: learning_rate 0.0005, optimizer adam: succeeded after 3 epochs, "
        "validation accuracy 97.50 %, version 2, 30.0 s",
        "trial 2/3: learning_rate 0.00231, optimizer adam: fell behind after 1 epoch, "
        "validation accuracy 91.00 %, 10.0 s",
        "trial 3/3: learning_rate 0.02, optimizer adam: succeeded after 3 epochs, "
        "validation accuracy 98.80 %, version 3, 32.0 s",
    ]
    assert printed.out == (
        "trial 3 is the best: learning_rate 0.02, optimizer adam: "
        "98.80 % of the validation digits, version 3\n"
    )


def test_a_program_gets_a_line_of_json_for_each_change(server: Any, capsys: Any) -> None:
    server.states = [YOUNG, YOUNG, HALF, DONE]

    code = main(["--server", server.address, "--json", "sweep", "show", "many", "--follow"])

    printed = capsys.readouterr()
    states = [json.loads(line) for line in printed.out.splitlines()]
    assert (code, printed.err) == (0, "")
    assert [state["state"] for state in states] == ["running", "running", "succeeded"]
    assert states[-1]["trials"][1]["state"] == "fell_behind"


def test_a_sweep_is_shown_with_all_its_trials(server: Any, capsys: Any) -> None:
    server.states = [DONE]

    assert main(["--server", server.address, "sweep", "show", "many"]) == 0

    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert shown[0] == ["sweep", "many,", "cnn:", "succeeded."]
    assert shown[1][:4] == ["TRIAL", "STATE", "LEARNING_RATE", "OPTIMIZER"]
    assert shown[3] == ["2", "fell_behind", "0.00231", "adam", "1", "91.00", "%", "–", "10.0"]
    assert shown[4] == ["3", "succeeded", "0.02", "adam", "3", "98.80", "%", "3", "32.0", "best"]


def test_sweeps_are_listed_with_their_best(server: Any, capsys: Any) -> None:
    assert main(["--server", server.address, "sweep", "list"]) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        ["many", "cnn", "succeeded", "3/3", "98.80", "%", "3"],
        ["many", "cnn", "running", "0/3", "–", "–"],
    ]
    server.listed = []
    main(["--server", server.address, "sweep", "list"])
    assert capsys.readouterr().out == "No sweeps yet.\n"


def test_a_stopped_sweep_tells_the_best_so_far(server: Any, capsys: Any) -> None:
    assert main(["--server", server.address, "sweep", "stop", "many"]) == 0

    printed = capsys.readouterr().out
    assert printed.startswith("sweep many, cnn: stopped.")
    assert "trial 1 is the best" in printed


@pytest.mark.parametrize("state", ["FAILED", "STOPPED"])
def test_a_sweep_that_does_not_succeed_is_a_failure(server: Any, capsys: Any, state: str) -> None:
    server.states = [sweep(state, failure_reason="every trial failed")]

    assert main(["--server", server.address, "sweep", "show", "many", "--follow"]) == 1

    assert f"sweep many ended {state.lower()}. every trial failed" in capsys.readouterr().err


def test_a_candidate_says_why_it_is_one(server: Any, capsys: Any) -> None:
    held = pb.Sweep()
    held.CopyFrom(DONE)
    held.gate.reasons.append("It reads fewer validation digits.")
    server.states = [held]

    main(["--server", server.address, "sweep", "show", "many", "--follow"])

    assert capsys.readouterr().out.splitlines()[1:] == [
        "It stays a candidate:",
        "  It reads fewer validation digits.",
    ]


def test_following_outlasts_a_server_that_restarts(stand_in: Any, capsys: Any, monkeypatch: Any) -> None:
    seen, away = threading.Event(), threading.Event()
    monkeypatch.setattr(commands, "POLL_S", 0.01)
    monkeypatch.setattr(SweepProgress, "say", lambda self, text: "Waiting" in text and away.set())

    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        yield pb.GetSweepResponse(sweep=DONE if away.is_set() else YOUNG)
        seen.set()

    def restart() -> None:
        assert seen.wait(60)
        server.vanish()
        assert away.wait(60)
        server.start()

    server = stand_in(behave)
    restarting = threading.Thread(target=restart)
    restarting.start()
    code = main(["--server", server.address, "sweep", "show", "many", "--follow"])
    restarting.join()

    assert code == 0
    assert capsys.readouterr().out.startswith("trial 3 is the best")


def test_ctrl_c_leaves_the_sweep_going_and_says_how_to_see_it(server: Any) -> None:
    server.states = [HALF]
    following = subprocess.Popen(
        [sys.executable, "-m", "digits.cli", "sweep", "show", "many", "--follow"],
        env=os.environ | {"DIGITS_SERVER": server.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert following.stderr is not None
    assert following.stderr.readline().startswith("trial 1/3")
    following.send_signal(signal.SIGINT)
    out, rest = following.communicate(timeout=60)

    assert (following.returncode, out) == (130, "")
    assert "digits sweep show many --follow" in rest
    assert "Traceback" not in rest
    assert "StopSweep" not in {call.path.rpartition("/")[2] for call in server.calls}


def test_the_time_left_is_told_from_what_the_trials_took() -> None:
    assert messages.sweep(YOUNG).remaining_s is None
    # One epoch of three took 10 s; two trials are to come after it.
    one = sweep("RUNNING", trial(1, "RUNNING", 1, duration_s=10), trial(2, "WAITING"), trial(3, "WAITING"))
    assert messages.sweep(one).remaining_s == pytest.approx(20 + 30 + 30)
    beside = sweep("RUNNING", FIRST, trial(2, "WAITING"), trial(3, "WAITING"))
    beside.at_once = 2
    assert messages.sweep(beside).remaining_s == pytest.approx(30)
    assert messages.sweep(DONE).remaining_s == 0
