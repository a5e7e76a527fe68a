"""The engine's turns: one thread at a time, first come first served."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from server.inference.turns import Turns

PATIENCE_S = 60.0


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_turn_that_is_taken_cannot_be_taken_by_another_until_it_is_given_up() -> None:
    turns = Turns()
    assert turns.try_take()
    assert not turns.try_take()
    turns.give_up()
    assert turns.try_take()


def test_turns_go_to_those_who_wait_in_the_order_in_which_they_came() -> None:
    turns, served = Turns(), []

    def work(number: int) -> None:
        with turns:
            served.append(number)

    assert turns.try_take()
    threads = []
    for number in range(20):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        wait_until(lambda expected=number + 1: len(turns._waiting) == expected)  # type: ignore[misc]
    turns.give_up()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert served == list(range(20))


def test_who_takes_turn_after_turn_lets_another_in_between() -> None:
    turns, is_over = Turns(), threading.Event()
    taken = 0

    def work() -> None:
        nonlocal taken
        while not is_over.is_set():
            with turns:
                taken += 1

    greedy = threading.Thread(target=work)
    greedy.start()
    wait_until(lambda: taken > 0)
    for _ in range(100):
        with turns:
            pass
    is_over.set()
    greedy.join(PATIENCE_S)
    assert not greedy.is_alive()


def test_a_fault_in_a_turn_ends_it() -> None:
    turns = Turns()
    try:
        with turns:
            raise ZeroDivisionError
    except ZeroDivisionError:
        assert turns.try_take()
