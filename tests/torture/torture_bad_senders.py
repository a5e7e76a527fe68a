"""Who sends bad calls and bytes: in programs of their own, so many at once, until their share is sent."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import grpc
import torture_bad_http as http
from torture_bad_answers import faults, is_bug
from torture_bad_archives import archives
from torture_bad_calls import PATIENCE_S, Answer, Case, Cases, Manner, Metadata, send
from torture_bad_catalogue import INFERENCE, INK, METHODS, PREDICTION, SAMPLE, TRAINING, Scene
from torture_bad_images import large, small
from torture_bad_messages import Messages
from torture_bad_wire import Wire

MIB = 2**20
AT_ONCE = 12
CONNECTIONS_AT_ONCE = 8
# A channel is given up, with all that is under way on it, after so many calls.
CALLS_OF_CHANNEL = 700
# What a server says that has no place for one more archive, and how long one is sent again.
TOO_MANY, LET_IN_S = "are under way, as many as may be", 60.0
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@dataclass
class Share:
    """What is to be sent to one server, by one program."""

    address: str
    scene: Scene
    seed: int
    count: int
    folder: Path
    """Where long messages of findings are put."""
    metadata: tuple[Metadata, ...] = ((),)
    """Each call carries one of these."""
    may_call: bool = True
    """False: nobody who shows these may call anything but what is open to all."""
    is_replica: bool = False
    sweeps: bool = False
    """Whether everything that is known to be bad is sent once, first."""
    has_large: bool = True


@dataclass
class Tally:
    """What was sent, and what came of it."""

    sent: int = 0
    bugs: int = 0
    findings: list[str] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Put two together."""
        self.sent += other.sent
        self.bugs += other.bugs
        self.findings += other.findings
        self.ended += other.ended


@cache
def _messages(scene: Scene, seed: int, is_quick: bool) -> Messages:
    """Made once in a program: to make them up takes seconds."""
    return Messages(scene, seed, drawn=3 if is_quick else 15)


def send_share(share: Share) -> Tally:
    """Send the calls of a share, and judge the answers."""
    messages = _messages(share.scene, share.seed, not share.has_large)
    cases = Cases(messages, share.seed, share.metadata)
    swept = sweep(share) if share.sweeps else iter(())
    left = itertools.chain(swept, (cases.next() for _ in range(share.count)))
    tally = Tally()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        while part := list(itertools.islice(left, CALLS_OF_CHANNEL)):
            with grpc.insecure_channel(share.address, options=UNLIMITED) as channel:
                for one in threads.map(partial(_send_one, channel, share), part):
                    tally.add(one)
                # These are cut off in the middle, with the connection.
                for case in part[:5]:
                    channel.stream_stream(f"/{case.path}")(iter(case.messages))
    return tally


def _send_one(channel: grpc.Channel, share: Share, case: Case) -> Tally:
    tally = Tally()
    answer = _send_until_let_in(channel, case)
    if answer is None:
        return tally
    tally.sent += 1
    tally.ended[answer.code.name] += 1
    tally.bugs += is_bug(case, answer)
    for fault in (*faults(case, answer), *_misplaced(case, answer, share)):
        tally.findings.append(f"{fault} ← {case.repeat(share.folder)}")
    if case.path == f"{TRAINING}/StartTraining" and answer.replies:
        _cancel(channel, case, answer)
    return tally


def _send_until_let_in(channel: grpc.Channel, case: Case) -> Answer | None:
    """Send a call again while as many archives come and go as may: what is bad about it was not looked at."""
    answer = send(channel, case)
    deadline = time.monotonic() + LET_IN_S
    while answer is not None and TOO_MANY in answer.text and time.monotonic() < deadline:
        time.sleep(0.05)
        answer = send(channel, case)
    return answer


def _cancel(channel: grpc.Channel, case: Case, answer: Answer) -> None:
    """A training that was started by chance."""
    from digits.v1 import training_pb2

    run = training_pb2.StartTrainingResponse.FromString(answer.replies[0]).training.training_id
    request = training_pb2.CancelTrainingRequest(training_id=run).SerializeToString()
    send(channel, Case(f"{TRAINING}/CancelTraining", (request,), metadata=case.metadata))


def _misplaced(case: Case, answer: Answer, share: Share) -> Iterable[str]:
    """What was answered to somebody who may not know it, or done by a server that changes nothing."""
    from server.rpc.access import METHODS as ACCESS
    from server.rpc.access import Effect

    if answer.code is not grpc.StatusCode.OK:
        return
    known = ACCESS[f"/{case.path}"]
    if not share.may_call and known.role is not None:
        yield "answered somebody without a token"
    if share.is_replica and known.effect is Effect.CHANGES:
        yield "changed something on a replica"


def sweep(share: Share) -> Iterator[Case]:
    """Every bad image and archive that there is, once, and messages beyond every limit."""
    from digits.v1 import prediction_pb2 as prediction
    from digits.v1 import sample_pb2 as sample

    metadata = share.metadata[-1]

    def case(path: str, *messages: bytes, is_oversized: bool = False) -> Case:
        return Case(path, messages, metadata=metadata, is_oversized=is_oversized)

    images = [*small().values(), *(make() for make in (large() if share.has_large else {}).values())]
    for image in images:
        encoded = prediction.Image(encoded=image)
        predict = prediction.PredictRequest(image=encoded, model_version=1).SerializeToString()
        yield case(f"{PREDICTION}/Predict", predict)
        yield case(
            f"{PREDICTION}/ReadNumber", prediction.ReadNumberRequest(encoded=image).SerializeToString()
        )
    for archive in archives().values():
        chunk = sample.ImportSamplesRequest(chunk=archive).SerializeToString()
        yield case(f"{SAMPLE}/ImportSamples", chunk)
    if not share.has_large:
        return
    limits = {"BatchPredict": 64, "ModelInfer": 64, "ModelStreamInfer": 64, "Predict": 8, "ImportSamples": 8}
    for path in METHODS:
        limit = limits.get(path.rpartition("/")[2], 1)
        yield case(path, bytes(limit * MIB + 1))
    yield case(f"{PREDICTION}/Predict", bytes(129 * MIB), is_oversized=True)
    for path, data in (
        (f"{PREDICTION}/BatchPredict", b"\x0a\0" * 30 * MIB),
        (f"{PREDICTION}/BatchPredict", b"\x0a\0" * (MIB // 2)),
        (f"{INFERENCE}/ModelInfer", b"\x2a\0" * 30 * MIB),
        (f"{INFERENCE}/ModelInfer", b"\x2a\0" * (MIB // 2)),
        (f"{INFERENCE}/ModelInfer", b"\x32\0" * (MIB // 2)),
        (f"{INFERENCE}/ModelStreamInfer", b"\x22\0" * 30 * MIB),
        (f"{INFERENCE}/RepositoryModelLoad", b"\x1a\0" * (MIB // 2)),
    ):
        yield case(path, data)
    sheet = prediction.Image(encoded=large()["webp without loss"]())
    batch = prediction.BatchPredictRequest(images=[sheet] * 60).SerializeToString()
    yield case(f"{PREDICTION}/BatchPredict", batch)
    yield Case(f"{PREDICTION}/BatchPredict", (batch,), Manner.CANCELLED, 1.0, PATIENCE_S, metadata)


def send_noise(port: int, metrics_port: int, seed: int, count: int, sweeps: bool) -> Tally:
    """Send so many connections of noise to the port of the calls, and half as many to that of the metrics.

    `sweeps`: everything that is known to be odd, too.
    """
    from digits.v1 import prediction_pb2 as prediction

    good = prediction.PredictRequest(image=prediction.Image(pixels=INK)).SerializeToString()
    wire = Wire(port, f"{PREDICTION}/Predict", good, seed)
    chance = random.Random(f"http {seed}")
    noises = [*(wire.every() if sweeps else ()), *(wire.next() for _ in range(count))]
    requests = [http.odd(chance) for _ in range(count // 2)]
    tally = Tally()
    with ThreadPoolExecutor(CONNECTIONS_AT_ONCE) as threads:
        for name, status in threads.map(partial(_on_the_wire, wire), noises):
            tally.sent += 1
            tally.ended[f"{name} {status}".strip()] += 1
            if name == "a whole call" and status != "0":
                tally.findings.append(f"a whole call on the wire has the status {status!r}")
        for request, answer in zip(
            requests, threads.map(partial(http.send, metrics_port), requests), strict=True
        ):
            tally.sent += 1
            if b"Traceback" in answer or b"BaseHTTP" in answer:
                tally.findings.append(f"the metrics told of the inside ← {request[:200].hex()}")
    return tally


def _on_the_wire(wire: Wire, noise: tuple[str, bytes]) -> tuple[str, str]:
    name, data = noise
    return name, wire.send(data)
