"""Where a call goes: predictions to the predictors, all else to the lab, as the contract itself tells."""

from __future__ import annotations

import pytest
from grpc_reflection.v1alpha import reflection

from server.cluster.peers import is_loopback
from server.cluster.routes import LAB, PREDICTORS, Kind, deployment, kind
from server.rpc.access import METHODS, OPEN, PREDICTS

PREDICTION, INFERENCE = "/digits.v1.PredictionService", "/inference.GRPCInferenceService"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_that_a_token_may_be_asked_for_has_a_kind(method: str) -> None:
    assert kind(method) is not None


def test_what_comes_by_the_thousand_goes_to_the_predictors_and_nothing_else() -> None:
    assert {method for method in METHODS if deployment(method) == PREDICTORS} == {
        *(f"{PREDICTION}/{name}" for name in ("Predict", "BatchPredict", "StreamPredict", "ReadNumber")),
        *(f"{INFERENCE}/{name}" for name in ("ModelInfer", "ModelStreamInfer")),
    }


def test_predictors_are_asked_nothing_that_changes_something() -> None:
    asked = [METHODS[method] for method in METHODS if deployment(method) == PREDICTORS]
    assert all(method in (OPEN, PREDICTS) for method in asked)


def test_a_method_that_nobody_knows_goes_to_the_lab_which_says_so() -> None:
    assert kind(f"{PREDICTION}/Guess") is None
    assert deployment(f"{PREDICTION.replace('Prediction', 'Fortune')}/Guess") == LAB


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (f"{PREDICTION}/Predict", Kind.ONCE),
        ("/digits.v1.TrainingService/WatchTraining", Kind.RESPONSES),
        (f"{PREDICTION}/StreamPredict", Kind.SEPARATE),
        ("/digits.v1.SampleService/ImportSamples", Kind.TOGETHER),
        (f"/{reflection.SERVICE_NAME}/ServerReflectionInfo", Kind.SEPARATE),
    ],
)
def test_the_kind_of_a_method_is_that_of_its_streams(method: str, expected: Kind) -> None:
    assert kind(method) is expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("ipv4:127.0.0.1:52044", True),
        ("ipv6:%5B::1%5D:52044", True),
        ("ipv6:[::ffff:127.0.0.1]:52044", True),
        ("unix:", True),
        ("ipv4:10.0.0.7:52044", False),
        ("ipv6:%5Bfe80::1%5D:52044", False),
        ("ipv6:%5B::ffff:10.0.0.7%5D:52044", False),
        ("nobody", False),
        ("", False),
    ],
)
def test_only_callers_on_this_machine_are_on_loopback(peer: str, expected: bool) -> None:
    assert is_loopback(peer) is expected
