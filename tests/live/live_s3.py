"""A real S3 server over HTTP, for tests of shared versions: it can be stopped, and keeps what it has.

In front of it there may be a way on which answers are spoilt.
"""

from __future__ import annotations

import http.client
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import boto3
from moto.server import ThreadedMotoServer


class LiveS3:
    """An S3 server on a free port of the loopback, in threads of this process."""

    def __init__(self) -> None:
        self._server: ThreadedMotoServer | None = None
        self._port = 0
        self.start()

    @property
    def endpoint(self) -> str:
        """Its address; the same after a restart."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def settings(self) -> dict[str, str]:
        """What a program needs in its environment to use it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "a-key",
            "AWS_SECRET_ACCESS_KEY": "a-secret-0123456789",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "NO_PROXY": "127.0.0.1",
        }

    def start(self) -> None:
        """Answer, from now on."""
        self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        """Let nobody listen at the address. What is stored stays."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def make_bucket(self, name: str) -> None:
        """Make an empty bucket."""
        self.client().create_bucket(Bucket=name)

    def ask_for_keys(self, is_wanted: bool) -> None:
        """Let in nobody with a key that it does not know, or everybody again."""
        count = b"0" if is_wanted else b"inf"
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset-auth", data=count)
        request.add_header("Content-Type", "text/plain")
        urllib.request.urlopen(request, timeout=30).close()

    def client(self):  # type: ignore[no-untyped-def]  # boto3 makes its classes when it is asked for one.
        """A client of its own, to look at what is stored, and to damage it."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="a-key",
            aws_secret_access_key="a-secret-0123456789",
            region_name="us-east-1",
        )


class SpoilingS3:
    """An HTTP server that passes requests on to an S3 server, and spoils some of the answers.

    with SpoilingS3(s3.endpoint) as spoiling:
        monkeypatch.setenv("AWS_ENDPOINT_URL", spoiling.endpoint)
        spoiling.breaks_off = "files/000002"
    """

    def __init__(self, endpoint: str) -> None:
        self.breaks_off: str | None = None
        """Of answers to GET whose path holds this half the promised body comes, then the connection ends."""
        self.babbles: str | None = None
        """Answers to GET whose path holds this are somebody else's web page."""
        self.spoilt = 0
        """Answers that were."""
        target, spoiling = urlsplit(endpoint).netloc, self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
                connection = http.client.HTTPConnection(target, timeout=30)
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                self.answer(answer, content)

            def do_PUT(self) -> None:
                self.do_GET()

            def answer(self, answer: http.client.HTTPResponse, content: bytes) -> None:
                is_page, breaks = (
                    self.command == "GET" and what is not None and what in self.path
                    for what in (spoiling.babbles, spoiling.breaks_off)
                )
                spoiling.spoilt += is_page or breaks
                content = b"<html>Please log in" if is_page else content
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if breaks else content)
                self.close_connection = breaks or self.close_connection

            def log_message(self, format: str, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
