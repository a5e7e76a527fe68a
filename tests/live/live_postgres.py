"""A real PostgreSQL server of the tests' own: on a free port, in a temporary folder, gone with them.

PostgreSQL refuses to run as root. Where the tests do, it runs as `postgres`, or else as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

START_TIMEOUT_S = 120.0
USER = "lab"
# With everything that a URL has to write in another way.
PASSWORD = "p@ss/wo:rd %"

# Those of a module, or a test, that take `database_url` or what is made of it run on these databases.
on_both = pytest.mark.databases("sqlite", "postgresql")
on_postgresql = pytest.mark.databases("postgresql")
on_sqlite = pytest.mark.databases("sqlite")

# Ends with whoever started it, however that ends: the pipe on its standard input is closed then.
KEEPER = 'postgres=$1; shift; "$postgres" "$@" & pid=$!; read _; kill -INT $pid; wait $pid'


def find_programs() -> Path:
    """The folder of `initdb` and `postgres`, the newest there is. Raises RuntimeError without any."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    newest_first = sorted(
        folders, key=lambda path: int("".join(filter(str.isdigit, str(path)))), reverse=True
    )
    on_path = shutil.which("initdb")
    for folder in (*newest_first, *([Path(on_path).resolve().parent] if on_path else [])):
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return folder
    raise RuntimeError(
        "these tests need PostgreSQL's programs initdb and postgres, and find none: `make test` installs "
        "them on Debian and Ubuntu as root; elsewhere: apt install postgresql, or brew install postgresql"
    )


class LivePostgres:
    """A PostgreSQL server. It does not wait for the disk, so that only a power cut would lose anything."""

    def __init__(self) -> None:
        self._programs = find_programs()
        self._identity = _unprivileged()
        self.folder = Path(tempfile.mkdtemp(prefix="digits-postgres-"))
        if self._identity:
            os.chown(self.folder, self._identity[0], self._identity[1])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._keeper: subprocess.Popen[bytes] | None = None
        self._run("initdb")

    @property
    def admin_url(self) -> str:
        """Of the database that is always there."""
        return self.url("postgres")

    def url(self, database: str) -> str:
        """Of a database, as DIGITS_DATABASE_URL takes it."""
        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        settings |= {"shared_buffers": "16MB", "max_connections": 100, "log_min_messages": "fatal"}
        settings |= {"fsync": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._keeper = subprocess.Popen(
                ["sh", "-c", KEEPER, "keeper", str(self._programs / "postgres"), "-D", self._data, *options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as_other,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            said = (self.folder / "log").read_text(errors="replace")
            assert self._keeper.poll() is None, f"PostgreSQL ended:\n{said}"
            assert time.monotonic() < deadline, f"PostgreSQL does not answer:\n{said}"
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether one can connect to it."""
        try:
            psycopg.connect(self.admin_url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """End it in order: connections are cut, and what was committed is there."""
        if self._keeper is not None:
            assert self._keeper.stdin is not None
            self._keeper.stdin.close()
            self._keeper.wait(60)
            self._keeper = None

    def crash(self) -> None:
        """End it and all of its processes at once: what no commit has waited for is lost."""
        pid = int((Path(self._data) / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        self.stop()

    def close(self) -> None:
        """End it, and remove all of it."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement that takes no transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, which is gone with the block."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    @property
    def _as_other(self) -> dict[str, object]:
        if not self._identity:
            return {}
        return {"user": self._identity[0], "group": self._identity[1], "extra_groups": []}

    def _run(self, program: str) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        arguments = ["-D", self._data, "-U", USER, "--pwfile", str(secret), "-A", "scram-sha-256"]
        arguments += ["-E", "UTF8", "--locale=C", "--no-sync"]
        ended = subprocess.run(
            [str(self._programs / program), *arguments],
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            cwd=self.folder,
            **self._as_other,  # type: ignore[call-overload]
        )
        assert ended.returncode == 0, f"{program} failed:\n{ended.stdout}{ended.stderr}"
        secret.unlink()


def _unprivileged() -> tuple[int, int] | None:
    """The user and group that stand in for root; None for anybody else, who runs it as himself."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise RuntimeError("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`")
