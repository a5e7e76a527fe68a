"""The audit of the locked packages, against a server that plays the one which knows of vulnerabilities."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HASH = "    --hash=sha256:" + 64 * "0"
Audit = Callable[..., subprocess.CompletedProcess[str]]

SIX = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "It adds up wrongly.",
    "affected": [
        {
            "package": {"name": "six", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.18"}]}],
        }
    ],
}


class Service(ThreadingHTTPServer):
    """Knows what it is told of each package; answers with `status`, or not at all while `is_silent`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.known: dict[str, Any] = {}
        self.asked: list[tuple[str, str]] = []
        self.status = 200
        self.is_silent = False
        self.end = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((question["package"]["name"], question["version"]))
        if self.server.is_silent:
            self.server.end.wait()
        known = self.server.known.get(question["package"]["name"])
        body = json.dumps({"vulns": [known]} if known else {}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.end.set()
        server.shutdown()


@pytest.fixture
def audit(service: Service, tmp_path: Path) -> Audit:
    """`audit("--require", ignored="…")` looks at two lock files, and asks that service."""
    first, second = tmp_path / "first.lock", tmp_path / "second.lock"
    first.write_text(
        f"# Written by a test.\nidna==3.20 \\\n{HASH}\nsix==1.17.0 ; python_version < '3' \\\n{HASH}\n"
    )
    # Another version of one, the same of the other.
    second.write_text(f"idna==3.19 \\\n{HASH} \\\n{HASH}\nsix==1.17.0 \\\n{HASH}\n")

    def run(*options: str, ignored: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "ignored.toml").write_text(ignored)
        url = f"http://127.0.0.1:{service.server_address[1]}/v1/query"
        command = [sys.executable, "scripts/audit.py", "--url", url, "--ignored", tmp_path / "ignored.toml"]
        own = {name: value for name, value in os.environ.items() if name != "DIGITS_REQUIRE_AUDIT"}
        return subprocess.run(
            [*command, *options, first, second],
            cwd=ROOT,
            env={**own, "NO_PROXY": "127.0.0.1", **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_every_version_of_every_lock_is_asked_about_once_whatever_system_it_is_for(
    service: Service, audit: Audit
) -> None:
    ended = audit()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "audit: 3 packages of 2 lock files, 0 known vulnerabilities\n"
    assert sorted(service.asked) == [("idna", "3.19"), ("idna", "3.20"), ("six", "1.17.0")]


def test_a_known_vulnerability_fails_it_and_is_told(service: Service, audit: Audit) -> None:
    service.known["six"] = SIX
    ended = audit()
    assert ended.returncode == 1
    assert "six 1.17.0: PYSEC-2026-1, CVE-2026-1, fixed in 1.18: It adds up wrongly." in ended.stdout


@pytest.mark.parametrize("name", ["PYSEC-2026-1", "CVE-2026-1"])
def test_what_was_looked_at_passes_with_its_reason_until_its_day(
    service: Service, audit: Audit, name: str
) -> None:
    service.known["six"] = SIX
    entry = f'[[ignored]]\nid = "{name}"\nreason = "nothing here adds"\nuntil = '
    ended = audit(ignored=entry + "9999-01-01\n")
    assert ended.returncode == 0
    assert f"ignored until 9999-01-01: six {name}: nothing here adds" in ended.stdout

    ended = audit(ignored=entry + "2020-01-01\n")
    assert ended.returncode == 1
    assert "(ignored until 2020-01-01: look at it again)" in ended.stdout


@pytest.mark.parametrize(
    "entry",
    ['id = "CVE-1"', 'id = "CVE-1"\nreason = ""\nuntil = 2030-01-01', 'id = "x"\nreason = "y"\nuntil = "z"'],
)
def test_nothing_is_ignored_without_a_reason_and_a_day(audit: Audit, entry: str) -> None:
    ended = audit(ignored=f"[[ignored]]\n{entry}\n")
    assert ended.returncode == 2
    assert "expected id, reason and until (a day) in each entry" in ended.stderr


@pytest.mark.parametrize("fault", ["an error", "silence", "nobody there"])
def test_without_an_answer_it_says_so_in_a_line_and_fails_only_where_one_is_required(
    service: Service, audit: Audit, fault: str
) -> None:
    options: tuple[str, ...] = ("--timeout", "1")
    if fault == "an error":
        service.status = 500
    elif fault == "silence":
        service.is_silent = True
    else:
        options += ("--url", "http://127.0.0.1:9/v1/query")

    ended = audit(*options)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.startswith("audit: not done, since nobody answered: ")
    assert ended.stderr.count("\n") == 1
    if fault == "an error":
        assert audit(*options, DIGITS_REQUIRE_AUDIT="1").returncode == 1
    else:
        assert audit(*options, "--require").returncode == 1


def test_the_projects_own_list_can_be_read_and_its_locks_are_all_looked_at(audit: Audit) -> None:
    assert audit("--ignored", str(ROOT / "scripts" / "audit_ignored.toml")).returncode == 0
    locks = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("[!.]*/**/requirements.lock")}
    text = (ROOT / "scripts" / "audit.py").read_text()
    assert locks == {"server", "frontend", "tests", "tests/open_inference"}
    assert 'LOCKS = ("server", "frontend", "tests", "tests/open_inference")' in text
