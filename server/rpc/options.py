"""What gRPC itself is told: sizes, keep-alive, the port, and the wall behind admission."""

from __future__ import annotations

from server.config import Config
from server.rpc.backlog import CHANNELZ
from server.rpc.sizes import MAX_MESSAGE_BYTES

# What is larger than its method allows is refused with the details that clients expect (see `sizes`). What is
# larger still is not received at all: gRPC itself answers RESOURCE_EXHAUSTED, without details.
MAX_RECEIVED_BYTES = 2 * MAX_MESSAGE_BYTES

MAX_PENDING_CALLS = 1000

KEEP_ALIVE = [
    # Our clients ping every 10 s, to notice a server that is gone; a crowded network may bring two together.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # Notices a client that vanished without a word, so that what it held is freed: its streams, its socket.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # gRPC waits a minute for the answer to a ping in any case, unless told this too.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
]

OPTIONS = [
    # gRPC's own 4 MiB would answer before our image check can name the field.
    ("grpc.max_receive_message_length", MAX_RECEIVED_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    *KEEP_ALIVE,
    # Admission refuses long before, with a time to return. This is for senders that do not listen: gRPC
    # itself ends what is beyond with CANCELLED, at a tenth of the cost, so that the others are answered.
    ("grpc.server.max_pending_requests", MAX_PENDING_CALLS),
    ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_CALLS),
    CHANNELZ,
]

REPLICA_OPTIONS = [
    *OPTIONS,
    # Clients come back after a while, to a balancer that may know of new replicas by then. What is under way
    # on the old connection is finished there.
    ("grpc.max_connection_age_ms", 30_000),
]


def server_options(config: Config) -> list[tuple[str, int]]:
    """The options of a server with this config."""
    # Two servers on one port share its connections at random: for replicas that is the point of it, otherwise
    # the second shall be refused.
    port = ("grpc.so_reuseport", int(config.shares_port))
    return [*(REPLICA_OPTIONS if config.is_replica else OPTIONS), port]
