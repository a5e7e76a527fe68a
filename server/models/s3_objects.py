"""Objects in a bucket of S3, or of what speaks its protocol. Endpoint and keys: by AWS's own variables."""

from __future__ import annotations

import logging

from aiohttp import ClientError
from aiohttp.http_exceptions import HttpProcessingError
from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError
from botocore.parsers import ResponseParserError
from s3fs import S3FileSystem

from server.errors import ArtifactsUnreachable
from server.models.objects import Objects

# Their debug lines hold the headers of requests, signatures included.
TALKATIVE = ("aiobotocore", "botocore", "fsspec", "s3fs")
WAITS = {"connect_timeout": 2, "read_timeout": 5}
RETRIES = {"total_max_attempts": 2, "mode": "standard"}
# An answer that breaks off in the middle, or is not S3's: the libraries hand such errors on as they come.
SPOILT = (ClientError, HttpProcessingError, ResponseParserError)


class S3Objects(Objects):
    """The objects under `s3://bucket/prefix`."""

    def __init__(self, url: str) -> None:
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        path = url.removeprefix("s3://")
        files = S3FileSystem(
            # What another machine has put there a moment ago has to be seen.
            use_listings_cache=False,
            skip_instance_cache=True,
            # A file in one request, and without asking for its size first.
            max_concurrency=1,
            config_kwargs={**WAITS, "retries": RETRIES},
        )
        # botocore has tried again already.
        files.retries = 1
        super().__init__(files, path)
        self._bucket = path.partition("/")[0]

    def _unreachable(self, error: Exception) -> ArtifactsUnreachable | None:
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return ArtifactsUnreachable(
                "S3 wants a key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", is_setting=True
            )
        if isinstance(error, FileNotFoundError) and self._is_all_missing(error):
            return ArtifactsUnreachable(
                f"there is no bucket {self._bucket!r} at this endpoint: make it, or look at AWS_ENDPOINT_URL",
                is_setting=True,
            )
        if isinstance(error, PermissionError):
            return ArtifactsUnreachable(
                f"S3 refuses this key ({_code(error)}) in the bucket {self._bucket!r}: look at "
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and whether the key may list, get, put and delete "
                "objects there",
                is_setting=True,
            )
        if isinstance(error, (BotoCoreError, OSError, *SPOILT)):
            return ArtifactsUnreachable(f"S3 does not answer as it should ({_code(error)})")
        return None

    def _is_all_missing(self, error: FileNotFoundError) -> bool:
        return _code(error) == "NoSuchBucket"


def _code(error: Exception) -> str:
    """S3's name of an error, such as "NoSuchBucket"; without one the name of what happened on the way."""
    answer = getattr(error.__cause__, "response", None) or {}
    return str(answer.get("Error", {}).get("Code") or type(error).__name__)
