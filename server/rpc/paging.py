"""Pages of a list: a token holds the place in the list and a fingerprint of the query it belongs to."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass

from google.protobuf.message import Message

from server.errors import InvalidArgument, InvalidPageToken

# Ours have about forty characters. What is longer is not even read.
MAX_TOKEN = 200


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for. `query` is the fingerprint of everything else in the request."""

    offset: int
    limit: int
    query: str

    def next_token(self, total: int) -> str:
        """The token of the page after this one in a list of `total`; empty after the last."""
        following = self.offset + self.limit
        if following >= total:
            return ""
        token = json.dumps([following, self.query]).encode()
        return base64.urlsafe_b64encode(token).decode()


def read_page(request: Message, *, default: int, maximum: int) -> Page:
    """The page that a List request asks for, from its page_size and page_token.

    Raises InvalidArgument for a page_size out of [0, maximum], InvalidPageToken for a token that is damaged
    or was given for other filters.
    """
    page_size: int = request.page_size  # type: ignore[attr-defined]
    page_token: str = request.page_token  # type: ignore[attr-defined]
    if not 0 <= page_size <= maximum:
        raise InvalidArgument("page_size", f"expected 1 to {maximum}, or 0 for {default}, got {page_size}")
    query = _fingerprint(request)
    offset = _offset(page_token, query) if page_token else 0
    return Page(offset=offset, limit=page_size or default, query=query)


def _fingerprint(request: Message) -> str:
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("page_size")
    bare.ClearField("page_token")
    name = request.DESCRIPTOR.full_name.encode()
    return hashlib.sha256(name + bare.SerializeToString(deterministic=True)).hexdigest()[:16]


def _offset(token: str, query: str) -> int:
    if len(token) > MAX_TOKEN:
        raise InvalidPageToken
    try:
        offset, token_query = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise InvalidPageToken from None
    # A list can shrink, so a place past its end is an empty page, but a place is never negative.
    if token_query != query or type(offset) is not int or not 0 <= offset < 2**31:
        raise InvalidPageToken
    return offset
