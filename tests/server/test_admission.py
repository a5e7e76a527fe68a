"""What would wait too long is refused at once, and told a moment of its own to come back."""

from __future__ import annotations

from itertools import pairwise

import pytest

from server.admission import LOOK_EVERY, MAX_WAIT_S, MIN_WAITING, Admission
from server.errors import Overloaded


class Traffic:
    """Requests that come every `every_s` of a clock of its own, with `waiting` of them unanswered."""

    def __init__(self, every_s: float, look_every: int = LOOK_EVERY) -> None:
        self.waiting = 0
        self.now = 100.0
        self.every_s = every_s
        self.admission = Admission(lambda: self.waiting, lambda: self.now, look_every)

    def send(self, count: int) -> list[Overloaded | None]:
        """What became of `count` requests: None for those let in."""
        return [self._one() for _ in range(count)]

    def settle(self, waiting: int) -> None:
        """Let it see the pace and `waiting` requests."""
        self.waiting = waiting
        self.send(3 * LOOK_EVERY)

    def _one(self) -> Overloaded | None:
        self.now += self.every_s
        try:
            self.admission.admit()
        except Overloaded as refusal:
            return refusal
        return None


def refused(outcomes: list[Overloaded | None]) -> list[Overloaded]:
    return [outcome for outcome in outcomes if outcome is not None]


def test_whoever_comes_while_few_wait_is_let_in() -> None:
    traffic = Traffic(every_s=0.001)
    traffic.waiting = MIN_WAITING
    assert refused(traffic.send(1000)) == []


def test_a_fast_server_lets_more_wait_than_a_slow_one() -> None:
    fast, slow = Traffic(every_s=0.0001), Traffic(every_s=0.001)
    for traffic in (fast, slow):
        traffic.settle(waiting=int(MAX_WAIT_S / 0.0001) - 10)
    assert refused(fast.send(LOOK_EVERY)) == []
    assert refused(slow.send(LOOK_EVERY)) != []


def test_a_pause_between_requests_is_no_slowness() -> None:
    traffic = Traffic(every_s=10.0)
    traffic.settle(waiting=1)
    traffic.waiting = MIN_WAITING + 50
    traffic.every_s = 0.0001
    assert refused(traffic.send(10 * LOOK_EVERY)) == []


def test_of_four_in_a_row_one_is_let_in_however_many_wait() -> None:
    traffic = Traffic(every_s=0.001)
    traffic.settle(waiting=100_000)
    outcomes = traffic.send(400)
    assert len(refused(outcomes)) == 300
    assert all(None in outcomes[start : start + 4] for start in range(len(outcomes) - 3))


def test_no_more_are_refused_than_are_too_many() -> None:
    traffic = Traffic(every_s=0.001)
    traffic.settle(waiting=MIN_WAITING)
    traffic.waiting = MIN_WAITING + 5
    outcomes = traffic.send(LOOK_EVERY)
    traffic.waiting = 0
    assert 1 <= len(refused(outcomes + traffic.send(LOOK_EVERY - 1))) <= 5


def test_the_more_wait_the_larger_the_share_that_is_refused() -> None:
    shares = []
    for more in (2, 8, 24, 60):
        traffic = Traffic(every_s=0.001, look_every=1)
        traffic.settle(waiting=MIN_WAITING)
        traffic.waiting += more
        shares.append(len(refused(traffic.send(400))) / 400)
    assert 0 < shares[0] < shares[1] < shares[2] <= shares[3] == 0.75


def test_who_counts_those_who_wait_each_time_refuses_nobody_once_they_are_few() -> None:
    traffic = Traffic(every_s=0.001, look_every=1)
    traffic.settle(waiting=1000)
    assert refused(traffic.send(2)) != []
    traffic.waiting = MIN_WAITING
    assert refused(traffic.send(100)) == []


def test_when_the_crowd_is_gone_everybody_is_let_in_again() -> None:
    traffic = Traffic(every_s=0.001)
    traffic.settle(waiting=1000)
    traffic.waiting = 0
    traffic.send(LOOK_EVERY)
    assert refused(traffic.send(1000)) == []


def test_the_first_after_a_crowd_that_went_is_let_in() -> None:
    traffic = Traffic(every_s=0.001)
    traffic.settle(waiting=1000)
    traffic.waiting = 0
    traffic.now += 1
    assert refused(traffic.send(1)) == []


def test_refusals_name_moments_that_lie_apart_so_that_they_do_not_all_return_together() -> None:
    traffic = Traffic(every_s=0.001)
    traffic.settle(waiting=1000)
    delays = sorted(refusal.retry_after_s for refusal in refused(traffic.send(32)))
    gaps = [after - before for before, after in pairwise(delays)]
    assert len(delays) == 24
    assert min(gaps) > 0
    assert max(gaps) < (delays[-1] - delays[0]) / 4


def test_the_longer_too_many_wait_the_longer_they_are_told_to_stay_away_up_to_a_second() -> None:
    traffic = Traffic(every_s=0.0001, look_every=1)
    traffic.settle(waiting=400)
    delays = []
    for _ in range(5):
        delays.append(max(refusal.retry_after_s for refusal in refused(traffic.send(100))))
        traffic.send(4000)
    assert delays == sorted(delays)
    assert delays[0] < 0.1
    assert 0.5 < delays[-1] <= 1


def test_when_few_wait_those_refused_next_are_told_to_come_back_soon() -> None:
    traffic = Traffic(every_s=0.0001, look_every=1)
    traffic.settle(waiting=400)
    traffic.send(20_000)
    assert refused(traffic.send(10))[0].retry_after_s > 0.2
    traffic.waiting = 10
    traffic.send(5000)
    traffic.waiting = 400
    assert refused(traffic.send(10))[0].retry_after_s < 0.1


def test_nobody_is_told_to_return_before_half_of_those_who_wait_are_answered() -> None:
    traffic = Traffic(every_s=0.001)
    traffic.settle(waiting=100)
    for refusal in refused(traffic.send(LOOK_EVERY)):
        assert refusal.retry_after_s >= 0.5 * (100 - LOOK_EVERY) * 0.001


def test_a_line_a_second_tells_how_many_were_refused(caplog: pytest.LogCaptureFixture) -> None:
    traffic = Traffic(every_s=0.001)
    traffic.settle(waiting=1000)
    caplog.clear()
    with caplog.at_level("WARNING"):
        traffic.send(2500)
    told = [record.__dict__["refused"] for record in caplog.records if record.message == "overloaded"]
    assert len(told) == 2
    assert 700 < told[1] <= 751
