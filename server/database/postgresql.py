"""A database on a PostgreSQL server: reached through a pool that survives that server's restarts.

Two things SQLite takes and PostgreSQL does not are settled here, for all tables: text with a NUL character,
and a database in another encoding than UTF-8.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from sqlalchemy import Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError

from server.addresses import place_of
from server.config import CannotStart

log = logging.getLogger(__name__)

# A start waits for a server that may be starting too, such as one of the same compose file.
START_PATIENCE_S = 15.0
LOOK_AGAIN_S = 0.5
# A statement takes milliseconds; only of a server that hangs is it cut off.
STATEMENT_TIMEOUT_MS = 60_000
# As long as a writer waits for another one in SQLite.
LOCK_TIMEOUT_MS = 10_000
# How long a call waits for one of the connections, when all are in use.
POOL_TIMEOUT_S = 10.0
# libpq's own: a host that is gone, and does not even refuse, is noticed after some ten seconds.
CONNECTING = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "digits",
}
# What a transaction that must outlast a power cut sets `synchronous_commit` to, noted of each connection.
DURABLE = "durable"
READ_ONLY = "25006"
# PostgreSQL's text has no NUL. Its picture takes its place: what was asked with one still finds itself.
NUL, PICTURE_OF_NUL = "\0", "\u2400"


def create_postgresql_engine(url: str) -> Engine:
    """An engine on a PostgreSQL database, with which nothing is connected yet. Raises CannotStart."""
    given = make_url(url)
    arguments = {name: value for name, value in CONNECTING.items() if name not in given.query}
    try:
        engine = create_engine(
            given,
            connect_args=arguments,
            # A connection that a restart of the server has cut is replaced before it is used.
            pool_pre_ping=True,
            pool_timeout=POOL_TIMEOUT_S,
            # People's drawings do not belong into logs.
            hide_parameters=True,
        )
    except ImportError as error:
        raise CannotStart(
            f"DIGITS_DATABASE_URL: PostgreSQL needs the package {error.name}: pip install 'digit-lab[shared]'"
        ) from None
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "handle_error", _leave_standby)
    return engine


def await_server(engine: Engine, patience_s: float = START_PATIENCE_S) -> None:
    """Wait until the database can be reached. Raises CannotStart, in PostgreSQL's words, when it cannot."""
    place, deadline, is_told = place_of(engine.url.render_as_string()), time.monotonic() + patience_s, False
    while True:
        try:
            engine.connect().close()
            return
        except DBAPIError as error:
            reason = in_one_line(error.orig)
        if time.monotonic() > deadline:
            raise CannotStart(
                f"DIGITS_DATABASE_URL: {place} cannot be reached ({reason}): see that PostgreSQL runs there "
                "and lets this server in, and start again. Predictions can be answered meanwhile: "
                "python -m server --read-only"
            )
        if not is_told:
            log.warning("database awaited", extra={"database": place, "reason": reason})
            is_told = True
        time.sleep(LOOK_AGAIN_S)


def in_one_line(error: BaseException | None) -> str:
    """The first words of an error of PostgreSQL's, which may be several lines."""
    return " ".join(str(error).split())[:300]


def _prepare(connection: Any, record: Any) -> None:
    """Limits for what hangs, and commits that do not wait for the disk unless they are told to."""
    from psycopg.types.string import StrDumper

    class _WithoutNul(StrDumper):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace(NUL, PICTURE_OF_NUL) if NUL in obj else obj)

    connection.adapters.register_dumper(str, _WithoutNul)
    connection.autocommit = True
    durable, encoding, *_ = connection.execute(
        "SELECT current_setting('synchronous_commit'), current_setting('server_encoding'),"
        " set_config('synchronous_commit', 'off', false),"
        f" set_config('statement_timeout', '{STATEMENT_TIMEOUT_MS}', false),"
        f" set_config('lock_timeout', '{LOCK_TIMEOUT_MS}', false)"
    ).fetchone()
    connection.autocommit = False
    if encoding != "UTF8":
        raise CannotStart(
            f"DIGITS_DATABASE_URL: expected a database in UTF-8, got one in {encoding}: make it with "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    # More than "on" where the server is set up so, such as for a standby to have it as well.
    record.info[DURABLE] = "on" if durable == "off" else durable


def _leave_standby(context: ExceptionContext) -> None:
    """After a failover the old primary may only read: connections to it are of no use any more."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True
