"""Who may do what: every method of every kind of server, without a token and with one that is not enough.

What may be called is written out here a second time, by itself: the server's own table is what is on trial.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import grpc
from digits.oip import open_inference_pb2 as oip
from digits.v1 import evaluation_pb2, model_pb2, prediction_pb2, sample_pb2, training_pb2
from google.protobuf.message import Message
from torture_parts import TortureServer, running
from torture_security_checks import Checks, bearer, call, every_method
from torture_security_tokens import (
    PREDICT,
    TRAIN,
    UNKNOWN,
    Target,
    trusting,
    try_handshakes,
    try_metrics,
    try_path,
    try_tokens,
)

from live_authority import Authority, write_secret  # isort: skip # torture_parts says where it is

OIP = "/inference.GRPCInferenceService/"
HEALTH = {f"/grpc.health.v1.Health/{name}" for name in ("Check", "List", "Watch")}
READINESS = {OIP + name for name in ("ServerLive", "ServerReady", "ModelReady")}
FOR_ALL = HEALTH | READINESS
# What changes something, and what shows people's drawings, runs, or a whole model: not for who may predict.
TRAINS_ONLY = {
    *(f"/digits.v1.TrainingService/{name}Training" for name in ("Start", "Get", "Watch", "Stop", "Cancel")),
    "/digits.v1.TrainingService/ListTrainings",
    *(f"/digits.v1.SweepService/{name}" for name in ("StartSweep", "GetSweep", "ListSweeps", "StopSweep")),
    *(f"/digits.v1.EvaluationService/{name}" for name in ("Evaluate", "MarkMislabelled")),
    *(f"/digits.v1.ModelService/{name}Model" for name in ("Deploy", "Delete", "Export")),
    *(f"/digits.v1.SampleService/{name}Sample" for name in ("Add", "Update", "Delete")),
    *(f"/digits.v1.SampleService/{name}Samples" for name in ("List", "Import", "Export", "Evaluate")),
    *(f"{OIP}RepositoryModel{name}" for name in ("Load", "Unload")),
}
DIGIT = prediction_pb2.Image(pixels=bytes(200) + bytes([255] * 200) + bytes(384))
# Such that each would change something, were it let through.
WOULD_CHANGE: dict[str, Message] = {
    "/digits.v1.TrainingService/StartTraining": training_pb2.StartTrainingRequest(recipe="classic"),
    "/digits.v1.EvaluationService/MarkMislabelled": evaluation_pb2.MarkMislabelledRequest(
        dataset=1, index=0, is_mislabelled=True
    ),
    "/digits.v1.ModelService/DeployModel": model_pb2.DeployModelRequest(model_version=1, cause="a trick"),
    "/digits.v1.SampleService/AddSample": sample_pb2.AddSampleRequest(image=DIGIT, label=3),
    OIP + "RepositoryModelUnload": oip.RepositoryModelUnloadRequest(model_name="digits"),
}
# A server that asks for tokens shall not even say which of these there are.
UNSERVED = (
    "/digits.v1.PredictionService/Guess",
    "/digits.v1.predictionservice/predict",
    "/digits.v1.ModelService/GetModel/",
    "//digits.v1.ModelService/GetModel",
    "/digits.v1.ModelService/../ModelService/GetModel",
    "/digits.v1.ModelService/Get%4dodel",
    "/digits.v1.ModelService/GetModel?token=train",
    "/grpc.health.v1.Health/../../digits.v1.ModelService/GetModel",
    "/grpc.health.v1.Health/Check/../../digits.v1.ModelService/GetModel",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.channelz.v1.Channelz/GetServers",
)


def try_access(folder: Path, checks: Checks, is_quick: bool) -> None:
    """Try everything on a plain server, its replica, and with TLS and mTLS."""
    folder.mkdir()
    tokens = write_secret(folder / "tokens", f"predict {PREDICT}\ntrain {TRAIN}\n".encode())
    ours, theirs = Authority(folder / "ours", "Ours"), Authority(folder / "theirs", "Theirs")
    shown = ours.issue("server")
    settings = {"DIGITS_MNIST": "", "DIGITS_TOKENS_FILE": str(tokens), "DIGITS_METRICS_PORT": "0"}
    tls = {"DIGITS_TLS_CERT": str(shown.certificate), "DIGITS_TLS_KEY": str(shown.key)}
    mutual = {**tls, "DIGITS_TLS_CLIENT_CA": str(ours.certificate)}
    own = ours.issue("client")
    plain = TortureServer(folder / "plain", **settings)
    encrypted = TortureServer(folder / "tls", **settings, **tls)
    asking = TortureServer(folder / "mtls", **settings, **mutual)
    with ExitStack() as stack:
        stack.enter_context(running(plain))
        replica = TortureServer(folder / "plain", "--read-only", data=plain.data, **settings)
        targets = [Target("plain", plain, None), Target("replica", replica, None)]
        if not is_quick:
            targets += [
                Target("tls", encrypted, trusting(ours)),
                Target("mtls", asking, trusting(ours, own)),
            ]
        stack.enter_context(running(*(target.server for target in targets[1:])))
        for target in targets:
            _try_methods(target, checks)
            try_metrics(target, checks, ours, own if target.server is asking else None)
        try_tokens(plain, checks)
        if not is_quick:
            try_handshakes(asking, checks, ours, theirs)
        for target in targets:
            _expect_no_secret(target, checks)
        # Last: the log tells which method was asked for, whatever a caller writes there.
        try_path(plain, checks)


def _try_methods(target: Target, checks: Checks) -> None:
    with target.channel() as channel:
        before = _state(channel)
        for method in (*every_method(), *UNSERVED):
            request = WOULD_CHANGE[method].SerializeToString() if method in WOULD_CHANGE else b""
            for token in (None, UNKNOWN):
                found = call(channel, method, [request], bearer(token) if token else ())
                wanted = "TOKEN_UNKNOWN" if token else "TOKEN_MISSING"
                if method in FOR_ALL:
                    is_so = found.code != "UNAUTHENTICATED"
                else:
                    is_so = (found.code, found.reason) == ("UNAUTHENTICATED", wanted)
                checks.expect(is_so, f"{target.name}: {method} with token {token}: {found}")
            found = call(channel, method, [request], bearer(PREDICT))
            if method in TRAINS_ONLY or method in UNSERVED:
                is_so = (found.code, found.reason) == ("PERMISSION_DENIED", "ROLE_TOO_LOW")
            else:
                is_so = found.code not in ("UNAUTHENTICATED", "PERMISSION_DENIED")
            checks.expect(is_so, f"{target.name}: {method} with a predict token: {found}")
        checks.expect(_state(channel) == before, f"{target.name}: something was changed by who may not")
    checks.expect(set(every_method()) >= TRAINS_ONLY, "a method of the list is no longer there")


def _state(channel: grpc.Channel) -> list[tuple[str, bytes]]:
    """What a server holds, as who may do everything sees it."""
    lists: dict[str, Message] = {
        "/digits.v1.ModelService/ListDeployments": model_pb2.ListDeploymentsRequest(page_size=100),
        "/digits.v1.TrainingService/ListTrainings": training_pb2.ListTrainingsRequest(),
        "/digits.v1.SampleService/ListSamples": sample_pb2.ListSamplesRequest(),
    }
    found = []
    for method, request in lists.items():
        outcome = call(channel, method, [request.SerializeToString()], bearer(TRAIN))
        found.append((outcome.code, outcome.reply))
    return found


def _expect_no_secret(target: Target, checks: Checks) -> None:
    """Neither the log, nor the command line, nor the environment holds a token; and nothing was a bug."""
    process = Path(f"/proc/{target.server.pid}")
    for place in (target.server.log, process / "cmdline", process / "environ"):
        content = place.read_bytes()
        for token in (PREDICT, TRAIN, UNKNOWN):
            checks.expect(token.encode() not in content, f"{target.name}: a token is in {place.name}")
    checks.expect(
        not target.server.faults(), f"{target.name}: faults in the log: {target.server.faults()[:3]}"
    )
