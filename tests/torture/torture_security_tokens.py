"""Tricks with tokens, certificates and the metrics: what counts as a token, and who is talked to at all."""

from __future__ import annotations

import base64
import hashlib
import http.client
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import grpc
from torture_parts import TortureServer
from torture_security_checks import Checks, bearer, call, is_answered

from live_authority import Authority, Pair  # isort: skip # torture_parts says where it is

PREDICT, TRAIN = "predict-" + 32 * "p", "train-" + 32 * "t"
UNKNOWN = "unknown-" + 32 * "u"


@dataclass(frozen=True)
class Target:
    """A server that asks for tokens, and how to reach it."""

    name: str
    server: TortureServer
    credentials: grpc.ChannelCredentials | None

    def channel(self) -> grpc.Channel:
        """A new channel to it."""
        if self.credentials is None:
            return grpc.insecure_channel(self.server.address)
        return grpc.secure_channel(self.server.address, self.credentials)


def trusting(authority: Authority, own: Pair | None = None) -> grpc.ChannelCredentials:
    """What a client needs that trusts an authority, and shows its own certificate."""
    return grpc.ssl_channel_credentials(
        authority.certificate.read_bytes(),
        own.key.read_bytes() if own else None,
        own.certificate.read_bytes() if own else None,
    )


def _tricks() -> Iterator[tuple[str, Sequence[tuple[bytes, bytes]], bool]]:
    """Ways to show a token: in words, as headers, and whether that is one."""
    train, name = TRAIN.encode(), b"authorization"
    for scheme in (b"Bearer", b"bearer", b"BEARER"):
        yield f"scheme {scheme!r}", [(name, scheme + b" " + train)], True
    yield "spaces around it", [(name, b"Bearer   " + train + b"  ")], True
    for value in (
        *(train, b"Basic " + train, b"Token " + train, b"Bearer: " + train, b"Bearer=" + train, b"Bearer"),
        *(
            b"Bearer ",
            b" Bearer " + train,
            b"Bearer\t" + train,
            b"Bearer\xa0" + train,
            b'Bearer "' + train + b'"',
        ),
        *(
            b"Bearer " + train + b", Bearer " + train,
            b"Bearer " + train + b"," + train,
            b"Bearer Bearer " + train,
        ),
        *(
            b"Bearer " + train.upper(),
            b"Bearer " + train[:-1],
            b"Bearer " + train + b"a",
            b"Bearer train " + train,
        ),
        *(
            b"Bearer " + train + b"\0",
            b"Bearer \0" + train,
            b"Bearer " + train + b"\r\n",
            b"Bearer \xff\xfe" + train,
        ),
        *(
            b"Bearer " + train + b"\n" + train,
            b"Bearer " + base64.b64encode(train),
            b"Bearer *",
            b"Bearer null",
        ),
        b"Bearer " + hashlib.sha256(train).hexdigest().encode(),  # What the server keeps of it.
        b"Bearer " + "ｔｒａｉｎ".encode(),
        *(b"Bearer " + size * b"a" for size in (512, 7_000, 100_000, 1_000_000)),
        b"Bearer " + train + b" " + 7_000 * b" " + b"a",
    ):
        yield f"{value[:60]!r} of {len(value)} bytes", [(name, value)], False
    for twice in ([UNKNOWN, TRAIN], [TRAIN, UNKNOWN], [TRAIN, TRAIN]):
        yield f"two tokens: {twice}", [(name, b"Bearer " + one.encode()) for one in twice], False
    for place in (
        *(
            b"Authorization",
            b"authorization-bin",
            b"x-authorization",
            b"proxy-authorization",
            b"token",
            b"cookie",
        ),
        *(
            b"x-token",
            b"x-forwarded-authorization",
            b"x-forwarded-access-token",
            b"grpc-metadata-authorization",
        ),
    ):
        yield f"in {place!r}", [(place, b"Bearer " + train)], False
    yield "in the user's part of the authority", [(b":authority", b"user:" + train + b"@127.0.0.1")], False
    yield "no header at all", [], False


def try_tokens(server: TortureServer, checks: Checks) -> None:
    """Every way to show a token but the right one is none."""
    for what, shown, is_token in _tricks():
        headers = {b":method": b"POST", b":scheme": b"http", b":path": b"/digits.v1.ModelService/GetModel"}
        if shown and shown[0][0] in (b":authority",):
            headers |= dict(shown)
            shown = []
        first = [*headers.items(), *([] if b":authority" in headers else [(b":authority", b"127.0.0.1")])]
        first += [(b"te", b"trailers"), (b"content-type", b"application/grpc")]
        answered = is_answered(server.address, [*first, *shown])
        checks.expect(answered is is_token, f"{'refused' if is_token else 'let in'}: {what}")


def try_path(server: TortureServer, checks: Checks) -> None:
    """Nor is one in the path."""
    with grpc.insecure_channel(server.address) as channel:
        found = call(channel, f"/digits.v1.ModelService/GetModel?token={TRAIN}")
    checks.expect(found.code == "UNAUTHENTICATED", f"let in by a token in the path: {found}")


def try_handshakes(server: TortureServer, checks: Checks, ours: Authority, theirs: Authority) -> None:
    """Who has no certificate, a strange one, an old one, or speaks an old TLS, is not even talked to."""
    strangers = {
        "without a certificate": trusting(ours),
        "with one of another authority": trusting(ours, theirs.issue("mallory")),
        "with one that has ended": trusting(ours, ours.issue("late", ends=timedelta(hours=-1))),
        "who trusts another authority": trusting(theirs, ours.issue("other")),
    }
    for who, credentials in strangers.items():
        with grpc.secure_channel(server.address, credentials) as channel:
            found = call(channel, "/grpc.health.v1.Health/Check", metadata=bearer(TRAIN), timeout=15)
        checks.expect(found.code == "UNAVAILABLE", f"mtls: a client {who}: {found}")
    with grpc.insecure_channel(server.address) as channel:
        found = call(channel, "/grpc.health.v1.Health/Check", metadata=bearer(TRAIN), timeout=15)
    checks.expect(found.code == "UNAVAILABLE", f"mtls: a client that does not encrypt: {found}")
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        checks.expect(not _speaks(server, ours, version), f"mtls: {version.name} is spoken")


def _speaks(server: TortureServer, authority: Authority, version: ssl.TLSVersion) -> bool:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.set_ciphers("ALL:@SECLEVEL=0")  # Or this side would already refuse.
    context.minimum_version = context.maximum_version = version
    try:
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=15)
        connection.connect()
    except OSError:
        return False
    connection.close()
    return True


def try_metrics(target: Target, checks: Checks, authority: Authority, own: Pair | None) -> None:
    """The metrics' port tells nothing without a token, whatever is asked and however."""
    port = int(str((target.server.event("serving") or {})["metrics_port"]))
    context = None
    if target.credentials is not None:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
    paths = (
        "/metrics",
        "/",
        "//metrics",
        "/metrics/",
        "/metrics?name[]=x",
        "/metrics/../../etc/passwd",
        "/%2e%2e/",
    )
    tokens = [
        [],
        [f"Bearer {UNKNOWN}"],
        [TRAIN],
        [f"Basic {TRAIN}"],
        [f"Bearer {UNKNOWN}", f"Bearer {TRAIN}"],
    ]
    for verb in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
        for path in paths:
            for shown in tokens:
                status, body = _http(port, context, verb, path, shown)
                is_so = status in (401, 404, 501) and b"digits_" not in body and b"root:" not in body
                checks.expect(is_so, f"{target.name}: metrics: {verb} {path} {shown}: {status} {body[:80]!r}")
    for token in (PREDICT, TRAIN):
        status, body = _http(port, context, "GET", "/metrics", [f"Bearer {token}"])
        checks.expect(status == 200 and b"digits_model_version" in body, f"{target.name}: metrics: {status}")


def _http(
    port: int, context: ssl.SSLContext | None, verb: str, path: str, shown: Sequence[str]
) -> tuple[int, bytes]:
    if context is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    else:
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=30)
    try:
        connection.putrequest(verb, path)
        for value in shown:
            connection.putheader("Authorization", value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
