"""What both clients' channels have in common: their options, and how messages travel."""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from typing import Any

from digits.client.call import Rpc
from digits.client.tls import Tls

CHANNEL_OPTIONS: tuple[tuple[str, int | str], ...] = (
    # A lost connection is taken up again within a second of the server's return.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Despite its name, the time that an attempt to connect may take: TLS across an ocean needs a second, a
    # bad line several. Who accepts and never answers is given up after it.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    # Notices a server that vanished without a word, also between calls: the next one goes to the new one.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # gRPC waits a minute for the answer to a ping in any case, unless told this too.
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
    # An address of several servers, such as `dns:///digits:50051`, is shared between all of them.
    ("grpc.lb_policy_name", "round_robin"),
    # Two clients in one process may talk to two servers at one address, one after the other.
    ("grpc.use_local_subchannel_pool", 1),
)


def channel_options(tls: Tls | None) -> list[tuple[str, int | str]]:
    """The options of a channel."""
    options = list(CHANNEL_OPTIONS)
    if tls is not None and tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options


def wire(rpc: Rpc[Any]) -> tuple[str, Callable[[Any], bytes], Callable[[bytes], Any]]:
    """A method's path, and how its messages become bytes and back."""
    return f"/digits.v1.{rpc.name}", methodcaller("SerializeToString"), rpc.response.FromString
