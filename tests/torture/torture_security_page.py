"""The page's own port: who may talk to it, what it serves besides, and where its paths lead."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from pathlib import Path

from torture_parts import ROOT
from torture_security_checks import Checks

from live_page import LiveApp  # isort: skip # torture_parts says where it is

STREAM = "/_stcore/stream"
HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def try_page(folder: Path, checks: Checks) -> None:
    """Try a page by itself: it needs no server for what is tried here."""
    folder.mkdir()
    app = LiveApp("127.0.0.1:1", folder / "page.log")
    try:
        app.wait()
        _try_handshakes(app.port, checks)
        _try_uploads(app.port, checks)
        _try_agents(app.port, checks)
        _try_paths(app.port, checks)
    finally:
        app.close()
    checks.expect("Traceback" not in app.log.read_text(), "page: a traceback in its log")


def _ask(
    port: int, verb: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> tuple[int, bytes, Mapping[str, str]]:
    """Status, content and headers of an answer; the path is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(verb, path, skip_host=True)
        given = {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(body)), **(headers or {})}
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = b"" if answer.status == 101 else answer.read()
        return answer.status, content, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def _try_handshakes(port: int, checks: Checks) -> None:
    """A stranger's page must not come in, neither from elsewhere nor by a name that leads here."""
    own = f"127.0.0.1:{port}"
    let_in = [(own, f"http://{own}"), (f"localhost:{port}", f"http://localhost:{port}"), (own, None)]
    for host, origin in let_in:
        status = _handshake(port, host, origin)
        checks.expect(status == 101, f"page: {host} from {origin}: {status}")
    strangers = [
        (own, "http://evil.example"),
        (own, f"http://evil.example:{port}"),
        (own, f"http://127.0.0.1.evil.example:{port}"),
        (own, "null"),
        (own, "file://"),
        (f"evil.example:{port}", f"http://evil.example:{port}"),
        (f"127.0.0.1.evil.example:{port}", f"http://127.0.0.1.evil.example:{port}"),
        (f"localhost.evil.example:{port}", f"http://localhost.evil.example:{port}"),
        (f"user@127.0.0.1:{port}", None),
        ("", None),
    ]
    for host, origin in strangers:
        status = _handshake(port, host, origin)
        checks.expect(status in (400, 403, 404), f"page: {host!r} from {origin}: {status}")


def _handshake(port: int, host: str, origin: str | None) -> int:
    headers = {**HANDSHAKE, "Host": host, **({"Origin": origin} if origin is not None else {})}
    return _ask(port, "GET", STREAM, headers)[0]


def _try_uploads(port: int, checks: Checks) -> None:
    """A file is taken from a page that is open only, and from nobody's else."""
    form = b'--x\r\nContent-Disposition: form-data; name="f"; filename="../../evil"\r\n\r\nevil\r\n--x--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    for path in ("no-such-session/1", "../../evil/1", "%2e%2e%2fevil/1", "x/../../../evil"):
        for headers in (kind, {**kind, "X-Xsrftoken": "x", "Cookie": "_streamlit_xsrf=x"}):
            status, body, _ = _ask(port, "PUT", f"/_stcore/upload_file/{path}", headers, form)
            checks.expect(400 <= status < 500, f"page: a file for {path}: {status} {body[:80]!r}")
    # One that says to be larger than any may be is not even read.
    huge = {**kind, "Content-Length": str(10**12)}
    status, body, _ = _ask(port, "PUT", "/_stcore/upload_file/x/1", huge, form)
    checks.expect(400 <= status < 500, f"page: a file of a terabyte: {status} {body[:80]!r}")


def _try_agents(port: int, checks: Checks) -> None:
    """What Streamlit has for programs that drive a page is off."""
    for route in ("interact", "mcp"):
        for verb in ("GET", "POST"):
            body = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
            status, content, _ = _ask(
                port, verb, f"/_stcore/agent/{route}", {"Content-Type": "application/json"}, body
            )
            checks.expect(400 <= status < 500, f"page: {verb} {route}: {status} {content[:80]!r}")


def _try_paths(port: int, checks: Checks) -> None:
    """No path leads to a file that is not the page's own."""
    up = ("../" * 12, "..%2f" * 12, "%2e%2e/" * 12, "..\\" * 12, "....//" * 12, "/", "//", "%5c..%5c" * 6)
    config = (ROOT / ".streamlit" / "config.toml").read_bytes()[:200]
    for base in (
        "/",
        "/static/",
        "/app/static/",
        "/media/",
        "/component/",
        "/_stcore/",
        "/_stcore/bidi-components/",
    ):
        for way in up:
            for name in ("etc/passwd", ".streamlit/config.toml", "frontend/app.py", "proc/self/environ"):
                status, content, headers = _ask(port, "GET", f"{base}{way}{name}")
                told = (b"root:x:0", config, b"connection.banner()", b"DIGITS_SERVER=")
                leaks = any(secret in content for secret in told)
                checks.expect(not leaks and status < 500, f"page: {base}{way}{name}: {status}")
                allowed = headers.get("access-control-allow-origin", "")
                checks.expect(allowed != "*" or status >= 400, f"page: {base}{way}{name}: for any origin")
