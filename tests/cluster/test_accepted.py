"""Whose calls an ingress reads without asking: for a while, for one role, and never too many."""

from __future__ import annotations

from server.cluster.accepted import MAX_REMEMBERED, REMEMBERED_S, Accepted
from server.cluster.calls import Call

PREDICT, GET_MODEL = "/digits.v1.PredictionService/Predict", "/digits.v1.ModelService/GetModel"
START = "/digits.v1.TrainingService/StartTraining"


def call(method: str, token: str | None = "abc") -> Call:
    shown = () if token is None else (("authorization", f"Bearer {token}"),)
    return Call(method, shown, "ipv4:127.0.0.1:1", None)


def test_a_token_is_known_for_every_method_of_its_role_and_no_other() -> None:
    accepted = Accepted()
    assert not accepted.includes(call(PREDICT))
    accepted.add(call(PREDICT))
    assert accepted.includes(call(PREDICT))
    assert accepted.includes(call(GET_MODEL))
    assert not accepted.includes(call(START))
    assert not accepted.includes(call("/made.up/Method"))
    assert not accepted.includes(call(PREDICT, "abcd"))
    assert not accepted.includes(call(PREDICT, None))


def test_several_tokens_are_none() -> None:
    accepted = Accepted()
    accepted.add(call(PREDICT))
    twice = call(PREDICT)._replace(metadata=call(PREDICT).metadata * 2)
    assert not accepted.includes(twice)


def test_it_is_forgotten_after_a_while() -> None:
    now = 0.0
    accepted = Accepted(lambda: now)
    accepted.add(call(PREDICT))
    now = REMEMBERED_S - 1
    assert accepted.includes(call(PREDICT))
    now = REMEMBERED_S
    assert not accepted.includes(call(PREDICT))


def test_what_anybody_may_call_is_not_asked_for() -> None:
    assert Accepted().includes(call("/grpc.health.v1.Health/Check", None))


def test_made_up_tokens_take_no_more_room_than_a_thousand() -> None:
    accepted = Accepted()
    for number in range(2 * MAX_REMEMBERED + 1):
        accepted.add(call(PREDICT, str(number)))
    assert len(accepted._until) <= MAX_REMEMBERED
    assert accepted.includes(call(PREDICT, str(2 * MAX_REMEMBERED)))
