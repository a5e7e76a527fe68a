"""The trials of a sweep as Ray Tune sees them through.

The trials that Tune knows only hand on what the training runs of the owner tell: a run has a place of its
own in the cluster, goes on when its node dies, and is seen by everybody, as any other is. So Tune's trials
need no processor. They are on the owner's node, where Tune's files are, so that no folder has to be shared.
"""

from __future__ import annotations

import contextvars
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from server.cluster.trials import Mailbox, report_epochs
from server.sweeps import FACTOR, FIRST_RUNG, Course

log = logging.getLogger(__name__)

# How often the process of a trial is begun anew; what it was told waits in the mailbox.
MAX_FAILURES = 3
# Of `node:<address>`, of which every node has 1: it binds trials to a node, and takes no processor.
SHARE_OF_NODE = 0.001
# How often it is asked how many trials may train at once.
REFRESH_S = 2.0
# No tables on the console, which only the older of Tune's outputs leaves out, and no logs for TensorBoard.
QUIET = {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0"}


def see_through(course: Course) -> None:
    """Have Tune see the trials of a sweep through. Raises what Ray does.

    Tune takes no signals, because this is not the main thread.
    """
    os.environ.update(QUIET)
    # Its results are not looked for, so that it need not say that there are none.
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    here = ray.get_runtime_context().get_node_id()
    address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    beside = NodeAffinitySchedulingStrategy(here, soft=False)
    mailbox: Any = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=beside).remote()
    search = BasicVariantGenerator(max_concurrent=1)
    followers = Followers(course, mailbox, search)
    try:
        with tempfile.TemporaryDirectory(prefix="sweep-") as scratch:
            tune.run(
                report_epochs,
                name="sweep",
                # In this order. Their options were drawn before, the same as without a cluster.
                config={"number": tune.grid_search(list(course.numbers)), "mailbox": mailbox},
                search_alg=search,
                scheduler=_scheduler(course),
                resources_per_trial={"cpu": 0, f"node:{address}": SHARE_OF_NODE},
                storage_path=scratch,
                stop=WhenOver(course),
                callbacks=[followers],
                max_failures=MAX_FAILURES,
                raise_on_failed_trial=False,
                reuse_actors=True,
                verbose=0,
            )
    finally:
        followers.join()
        ray.kill(mailbox)


def _scheduler(course: Course) -> TrialScheduler:
    """ASHA with the rungs of `server.sweeps.Halving`; what it compares with there is Tune's own."""
    if not course.ends_early or course.epochs <= FIRST_RUNG:
        return FIFOScheduler()  # type: ignore[no-untyped-call]
    return ASHAScheduler(
        time_attr="epoch",
        metric="accuracy",
        mode="max",
        max_t=course.epochs,
        grace_period=FIRST_RUNG,
        reduction_factor=FACTOR,
    )


class WhenOver(Stopper):
    """Ends Tune's part when the sweep is stopped, or the server goes down."""

    def __init__(self, course: Course) -> None:
        self._course = course

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial is ended for its results: the scheduler does that."""
        return False

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune notes down how to go on, but it is the sweep that goes on."""
        return {}

    def stop_all(self) -> bool:
        """Whether to end; Tune asks ten times a second."""
        return self._course.is_over


class Followers(Callback):
    """What Tune begins is begun here, on a thread each, and what it ends is cancelled."""

    def __init__(self, course: Course, mailbox: Any, search: BasicVariantGenerator) -> None:
        self._course = course
        self._mailbox = mailbox
        self._search = search
        self._refreshed = -REFRESH_S
        self._followed: set[int] = set()
        self._let_go: set[int] = set()
        self._threads: list[threading.Thread] = []

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Begin as many trials as may train now: a cluster grows and shrinks."""
        if time.monotonic() - self._refreshed >= REFRESH_S:
            # While there is no place for any, one may wait. To Tune 0 is no limit.
            self._search.max_concurrent = max(1, self._course.at_once)
            self._refreshed = time.monotonic()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Follow the run; once, however often Tune begins the trial's process."""
        number = trial.config["number"]
        if number not in self._followed:
            self._followed.add(number)
            self._begin(self._follow, number)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tune has ended a trial: one that is followed still has fallen behind."""
        number = trial.config["number"]
        if number not in self._let_go and not self._course.is_over:
            # Not here: Tune would wait as long as the run takes to be gone.
            self._begin(self._course.end, number)

    def join(self) -> None:
        """Wait for the threads: until the runs that they follow have ended, or the course is over."""
        for thread in self._threads:
            thread.join()

    def _begin(self, work: Callable[[int], None], number: int) -> None:
        def run() -> None:
            try:
                work(number)
            except Exception:
                # Such as a database that does not answer. What has not ended is seen through afterwards.
                log.exception("trial not followed", extra={"trial": number})

        # With the id of the call that asked for the sweep: the lines that the log gets carry it.
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(run,), name=f"trial-{number}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _follow(self, number: int) -> None:
        try:
            for report in self._course.follow(number):
                # After the last epoch there is nothing left to save.
                if report.epoch < self._course.epochs:
                    self._mailbox.put.remote(number, (report.epoch, report.accuracy))
        finally:
            self._let_go.add(number)
            self._mailbox.close.remote(number)
