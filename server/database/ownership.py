"""One server for a PostgreSQL database, wherever it runs: a lock that its connection holds, and a number.

The lock (an advisory one, of the session) says who may begin: PostgreSQL lets it go with the connection,
however that ends. But a connection may end while its server lives on, cut off by a network or by a restart of
PostgreSQL, and another server may begin meanwhile. So each that begins raises a number, and whatever commits
looks at it first: who has not the newest commits nothing. It ends itself then, in order; what it knew is the
other's past.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from server.addresses import place_of
from server.config import CannotStart
from server.database.postgresql import in_one_line
from server.errors import DatabaseUnreachable
from server.unforeseen import Unforeseen

log = logging.getLogger(__name__)

# Any number that nobody else takes: "digits", in ASCII.
LOCK = 0x646967697473
# A server that was killed a moment ago still has its connection, until PostgreSQL has noticed.
PATIENCE_S = 3.0
LOOK_EVERY_S = 1.0

_TABLE = text(
    "CREATE TABLE IF NOT EXISTS server_owner"
    " (one integer PRIMARY KEY CHECK (one = 1), generation bigint NOT NULL, holder text NOT NULL)"
)
_BEGIN = text(
    "INSERT INTO server_owner VALUES (1, 1, :holder) ON CONFLICT (one)"
    " DO UPDATE SET generation = server_owner.generation + 1, holder = :holder RETURNING generation"
)
# Waits for a server that is about to begin, and keeps one from it until the transaction has ended.
_FENCE = "SELECT 1 FROM server_owner WHERE generation = {} FOR SHARE"
# PostgreSQL may take hours to notice that a host is gone; of this connection half a minute.
_NOTICE = text(
    "SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_count', '3', false),"
    " set_config('tcp_keepalives_interval', '5', false), set_config('tcp_user_timeout', '20000', false),"
    " pg_backend_pid()"
)
# Of a process that has the lock: a number may be another process's by now.
_END_SESSION = text(
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE pid = :pid AND locktype = 'advisory' AND granted"
    " AND (classid::bigint << 32) + objid::bigint = :key"
)


class OwnedByAnother(DatabaseUnreachable, SQLAlchemyError):
    """Another server has begun on the database: nothing of this one is committed any more."""

    @property
    def reason(self) -> str:
        """To a caller it is the same: this server cannot reach what it needs, and another one may."""
        return DatabaseUnreachable().reason


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def own(engine: Engine, address: str, on_taken: Callable[[], None] = _end_process) -> None:
    """Be the only server on a database until the engine is disposed of. `address` is for who is refused.

    `on_taken` is called, from a thread, when another server has begun: this one has to end. Raises
    CannotStart when another one is there, and names it.
    """
    owner = _Owner(engine, address, on_taken)
    event.listen(engine, "commit", owner.fence)
    event.listen(engine, "engine_disposed", lambda _: owner.close())


class _Owner:
    """Holds the lock, and looks again and again whether it still does."""

    def __init__(self, engine: Engine, address: str, on_taken: Callable[[], None]) -> None:
        self._engine = engine
        self._on_taken = on_taken
        self._place = place_of(engine.url.render_as_string())
        self._unforeseen = Unforeseen(log, "ownership")
        self._connection = self._connect()
        try:
            self._wait_for_lock()
            self.generation = self._begin(address)
        except BaseException:
            self._connection.close()
            raise
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ownership", daemon=True)
        self._thread.start()

    def fence(self, connection: Connection) -> None:
        """Before a commit: whether the database is still this server's. Raises OwnedByAnother."""
        if connection.get_execution_options().get("postgresql_readonly"):
            return
        if connection.exec_driver_sql(_FENCE.format(self.generation)).first() is None:
            raise OwnedByAnother

    def close(self) -> None:
        """Let others begin."""
        self._closing.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._connection.close()

    def _connect(self) -> Connection:
        """A connection that is no part of the pool, and that commits each statement by itself."""
        connection = self._engine.connect()
        connection.detach()
        psycopg_connection: Any = connection.connection.dbapi_connection
        psycopg_connection.autocommit = True
        self._backend = connection.execute(_NOTICE).one()[-1]
        return connection

    def _wait_for_lock(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._lock():
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"DIGITS_DATABASE_URL: {self._place} is in use by {_holder(self._connection)}; stop that "
                    "first, or choose another database; replicas (--read-only) need none"
                )
            time.sleep(0.1)

    def _lock(self) -> bool:
        return bool(
            self._connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}).scalar()
        )

    def _begin(self, address: str) -> int:
        self._connection.execute(_TABLE)
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            # Port 0 is none: the system chooses one later.
            "address": "" if address.endswith(":0") else address,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return int(self._connection.execute(_BEGIN, {"holder": json.dumps(holder)}).scalar_one())

    def _watch(self) -> None:
        is_lost = False
        while not self._closing.wait(LOOK_EVERY_S):
            try:
                if is_lost and self._take_again():
                    is_lost = False
                    log.info("database back", extra={"database": self._place})
                newest = self._connection.execute(text("SELECT generation FROM server_owner")).scalar()
            except SQLAlchemyError as error:
                if not is_lost:
                    log.error("database lost", extra={"database": self._place, "reason": in_one_line(error)})
                is_lost = True
                continue
            except Exception as error:
                # The driver's own, perhaps, of a connection that was cut as it was made.
                self._unforeseen.tell(error)
                is_lost = True
                continue
            if newest != self.generation:
                holder = _holder(self._connection)
                log.critical("database taken over", extra={"database": self._place, "by": holder})
                self._on_taken()
                return

    def _take_again(self) -> bool:
        """Connect and lock anew. False while another session holds the lock. Raises SQLAlchemyError."""
        before, dead = self._connection, self._backend
        self._connection = self._connect()
        before.close()
        if not self._lock():
            # PostgreSQL may not have noticed yet that our connection of before is gone.
            self._connection.execute(_END_SESSION, {"pid": dead, "key": LOCK})
        return self._lock()


def _holder(connection: Connection) -> str:
    """Who has begun last, in words."""
    try:
        told = json.loads(connection.execute(text("SELECT holder FROM server_owner")).scalar_one())
        since = datetime.fromisoformat(told["since"])
        at = f" at {told['address']}" if told["address"] else ""
        process = f"process {int(told['pid'])} on {told['host']}"
        return f"the server{at} ({process}, since {since:%Y-%m-%d %H:%M:%S} UTC)"
    except (SQLAlchemyError, ValueError, KeyError, TypeError):
        return "another server, which has not said yet who it is"
