"""A real S3 server over HTTP, for tests of shared versions: it can be stopped, and keeps what it has."""

from __future__ import annotations

import urllib.request

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
