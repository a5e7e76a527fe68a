"""Fetching one file with a known checksum, so that an interrupted download goes on where it stopped.

Bytes gather in `<target>.part`; only a complete file with the right checksum gets its final name. The .part
of an interrupted download is kept for the next attempt.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

TIMEOUT_S = 10.0  # without a single byte
DEADLINE_S = 300.0  # for the whole file; after that the built-in digits are more useful than waiting
ATTEMPTS = 3
MAX_BYTES = 64 * 2**20
_CHUNK_BYTES = 128 * 1024


class DownloadFailed(Exception):
    """The file could not be fetched; the message says why."""


def download(
    url: str,
    target: Path,
    sha256: str,
    report: Callable[[int, int], None],
    timeout_s: float = TIMEOUT_S,
    deadline_s: float = DEADLINE_S,
) -> None:
    """Fetch `url` into `target`, whose content then has the checksum `sha256`.

    `report(done_bytes, total_bytes)` is called as bytes arrive; total is 0 where the server does not tell.
    Raises DownloadFailed.
    """
    if not url.startswith(("http://", "https://")):
        raise DownloadFailed(f"expected an address that begins with https:// or http://, got {url!r}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    ends = time.monotonic() + deadline_s
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch(url, part, report, timeout_s, ends)
            break
        except urllib.error.HTTPError as error:
            # The server's own word: asking again in a moment would not change it.
            raise DownloadFailed(f"the server answered {error.code} {error.reason}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            if attempt == ATTEMPTS or isinstance(_cause(error), ConnectionRefusedError):
                raise DownloadFailed(_words(error)) from error
    if not is_file_with(part, sha256):
        part.unlink()
        raise DownloadFailed(
            f"what came does not have the checksum {sha256[:12]}…: not the file that was expected"
        )
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)


def _fetch(url: str, part: Path, report: Callable[[int, int], None], timeout_s: float, ends: float) -> None:
    """Append to `part` what it lacks. Raises OSError or http.client.HTTPException when that breaks off."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        # 416: nothing is missing. The checksum decides whether it is the right file.
        if error.code == 416 and have:
            return
        raise
    with response:
        is_rest = response.status == 206
        have = have if is_rest else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else 0
        with part.open("ab" if is_rest else "wb") as file:
            while chunk := response.read1(_CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                if max(have, total) > MAX_BYTES:
                    part.unlink()
                    raise DownloadFailed(
                        f"the file is larger than {MAX_BYTES} bytes: not the one that was expected"
                    )
                if time.monotonic() > ends:
                    raise DownloadFailed(
                        "it took too long; what has arrived is kept, the next start goes on from there"
                    )
                report(have, total)
    if total and have < total:
        raise ConnectionError(f"the connection broke off after {have} of {total} bytes")


def _cause(error: BaseException) -> object:
    return error.reason if isinstance(error, urllib.error.URLError) else error


def _words(error: BaseException) -> str:
    cause = _cause(error)
    if isinstance(cause, TimeoutError):
        return "the server did not answer in time"
    return str(cause) or type(cause).__name__


def is_file_with(path: Path, sha256: str) -> bool:
    """Whether there is a file at `path` whose bytes have this checksum."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
