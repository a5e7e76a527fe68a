"""Bearer tokens over a live channel: two roles, a table of methods, and nothing let slip."""

from __future__ import annotations

import importlib
import json
import pkgutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import digits
import grpc
import pytest
from digits.v1 import prediction_pb2, prediction_pb2_grpc
from google.protobuf import descriptor_pool
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from server.credentials import Role
from server.rpc.access import METHODS

DIGIT = prediction_pb2.Image(pixels=bytes(200) + bytes([255] * 200) + bytes(384))
STANDARD = ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")


def contract_services() -> list[str]:
    """Every service of every .proto of this project."""
    files = [
        importlib.import_module(module.name).DESCRIPTOR
        for module in pkgutil.walk_packages(digits.__path__, "digits.")
        if module.name.endswith("_pb2")
    ]
    return [service.full_name for file in files for service in file.services_by_name.values()]


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def refusal(channel: grpc.Channel, method: str, metadata: Any = ()) -> tuple[grpc.StatusCode, str]:
    """How a call is refused, and the reason in its details. The request is empty."""
    with pytest.raises(grpc.RpcError) as raised:
        list(channel.stream_stream(method)(iter([b""]), metadata=metadata, timeout=60))
    status = status_pb2.Status.FromString(dict(raised.value.trailing_metadata())["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "digits"
    return raised.value.code(), info.reason


def test_every_method_of_the_server_has_its_role_in_the_table_and_no_other_is_there() -> None:
    pool = descriptor_pool.Default()
    served = {
        f"/{service}/{method.name}"
        for service in (*contract_services(), *STANDARD)
        for method in pool.FindServiceByName(service).methods
    }
    assert set(METHODS) == served


@pytest.mark.parametrize("method", [path for path, method in METHODS.items() if method.role is not None])
def test_a_method_that_needs_a_role_is_refused_without_a_token(
    guarded_channel: grpc.Channel, method: str
) -> None:
    assert refusal(guarded_channel, method) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


@pytest.mark.parametrize("method", [path for path, method in METHODS.items() if method.role is Role.TRAIN])
def test_a_method_that_needs_the_role_train_is_refused_to_who_may_only_predict(
    guarded_channel: grpc.Channel, tokens: dict[str, str], method: str
) -> None:
    code, reason = refusal(guarded_channel, method, bearer(tokens["predict"]))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_TOO_LOW")


@pytest.mark.parametrize(
    "metadata",
    [
        bearer("predict-0123456789abcdeX"),
        bearer("predict-0123456789abcde"),
        bearer(""),
        bearer("train"),
    ],
)
def test_a_token_that_is_not_known_is_refused(guarded_channel: grpc.Channel, metadata: Any) -> None:
    method = "/digits.v1.PredictionService/Predict"
    assert refusal(guarded_channel, method, metadata) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN")


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
def test_a_token_in_another_scheme_counts_as_none(
    guarded_channel: grpc.Channel, tokens: dict[str, str], scheme: str
) -> None:
    metadata = (("authorization", f"{scheme} {tokens['train']}".strip()),)
    _, reason = refusal(guarded_channel, "/digits.v1.PredictionService/Predict", metadata)
    assert reason == "TOKEN_MISSING"


@pytest.mark.parametrize("role", ["predict", "train"])
def test_who_has_a_token_predicts(guarded_channel: grpc.Channel, tokens: dict[str, str], role: str) -> None:
    stub = prediction_pb2_grpc.PredictionServiceStub(guarded_channel)
    request = prediction_pb2.PredictRequest(image=DIGIT)
    reply = stub.Predict(request, metadata=bearer(tokens[role]), timeout=60)
    assert reply.model_version == 1


@pytest.mark.parametrize("method", [path for path, method in METHODS.items() if method.role is not None])
def test_the_role_train_is_let_through_to_every_method(
    guarded_channel: grpc.Channel, tokens: dict[str, str], method: str
) -> None:
    # Unreadable, so that what is let through goes no further, and does nothing.
    call = guarded_channel.stream_stream(method)
    try:
        list(call(iter([b"\xff\xff\xff\xff"]), metadata=bearer(tokens["train"]), timeout=60))
    except grpc.RpcError as error:
        code = error.code()
        assert code not in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED), method


def test_health_is_open_to_all(guarded_channel: grpc.Channel) -> None:
    reply = health_pb2_grpc.HealthStub(guarded_channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_asks_for_a_token_as_well(guarded_channel: grpc.Channel, tokens: dict[str, str]) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(guarded_channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    metadata = bearer(tokens["predict"])
    (reply,) = stub.ServerReflectionInfo(iter([request]), metadata=metadata, timeout=60)
    assert {service.name for service in reply.list_services_response.service} >= set(contract_services())


def test_a_method_that_does_not_exist_is_not_told_from_others_without_a_token(
    guarded_channel: grpc.Channel, tokens: dict[str, str]
) -> None:
    method = "/digits.v1.PredictionService/Guess"
    assert refusal(guarded_channel, method) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    code, reason = refusal(guarded_channel, method, bearer(tokens["train"]))
    assert (code, reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD")


def metrics(server: Any, token: str = "") -> str:
    serving = server.event("serving")
    request = urllib.request.Request(f"http://127.0.0.1:{serving['metrics_port']}/metrics")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return str(answer.read().decode())


def test_the_metrics_ask_for_a_token_as_well(guarded: Any, tokens: dict[str, str]) -> None:
    with pytest.raises(urllib.error.HTTPError) as raised:
        metrics(guarded)
    assert raised.value.code == 401
    assert raised.value.headers["WWW-Authenticate"] == "Bearer"
    assert "digits_model_version 1.0" in metrics(guarded, tokens["predict"])


def test_no_token_is_in_the_log_the_command_line_or_the_environment_of_the_training_child(
    guarded: Any, guarded_channel: grpc.Channel, tokens: dict[str, str], tokens_file: Path
) -> None:
    refusal(guarded_channel, "/digits.v1.PredictionService/Predict", bearer("tell-nobody-0123456789"))
    refusal(guarded_channel, "/digits.v1.TrainingService/StartTraining", bearer(tokens["predict"]))
    written = guarded.log.read_text()
    for secret in (*tokens.values(), "tell-nobody-0123456789"):
        assert secret not in written
        assert secret not in Path(f"/proc/{guarded.pid}/cmdline").read_text()
        assert secret not in Path(f"/proc/{guarded.pid}/environ").read_text()
    assert '"TOKEN_UNKNOWN"' in written
    assert json.loads(written.splitlines()[0])


def test_the_training_child_is_told_of_no_token_and_of_no_key() -> None:
    from server.training.child import child_environment

    own = {
        "PATH": "/bin",
        "DIGITS_TOKENS_FILE": "/secret/tokens",
        "DIGITS_TLS_KEY": "/secret/key",
        "DIGITS_TOKEN": "secret",
    }
    assert [name for name in child_environment(own, Path("/tmp")) if name.startswith("DIGITS_")] == []


def test_a_server_without_tokens_asks_nobody(live_server: Any) -> None:
    with live_server.channel() as channel:
        stub = prediction_pb2_grpc.PredictionServiceStub(channel)
        request = prediction_pb2.PredictRequest(image=DIGIT)
        assert stub.Predict(request, metadata=bearer("whatever"), timeout=60).model_version
