"""Where the database and the models' artifacts are kept, by URL: checked as text, nothing is opened here."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

# The second is how some hosts of databases write the first.
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class BadUrl(Exception):
    """A URL that is none, or of a kind that is not served. The message never has a password."""


def read_database_url(text: str) -> str:
    """The URL of a PostgreSQL database, in the form that SQLAlchemy takes. Raises BadUrl."""
    # Only where there is a URL: it takes a quarter of a second.
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    form = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # What came is not repeated: a password may be anywhere in it.
        raise BadUrl(
            f"expected {form} (with @, / and : in a password as %40, %2F and %3A), got what is no such URL"
        ) from None
    if url.drivername not in _POSTGRESQL:
        raise BadUrl(f"expected {form}, got a URL of the kind {url.drivername!r}")
    if not url.database:
        raise BadUrl(f"expected {form}, got a URL that names no DATABASE")
    return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def place_of(database_url: str) -> str:
    """A database's place in words for logs and refusals: without user, password and options."""
    from sqlalchemy import make_url

    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return str(url.database or ":memory:")
    hosts = url.query.get("host", ())
    named = [hosts] if isinstance(hosts, str) else list(hosts)
    host = ",".join(named) or (f"[{url.host}]" if ":" in (url.host or "") else url.host or "")
    return f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database}"


def read_artifacts_url(text: str) -> str:
    """A folder for artifacts, `file:///…` or `s3://bucket/prefix`, without a / at its end. Raises BadUrl."""
    expected = "expected file:///FOLDER or s3://BUCKET/PREFIX"
    try:
        parts = urlsplit(text)
        has_login = parts.username is not None or parts.port is not None
    except ValueError:
        raise BadUrl(f"{expected}, got what is no URL") from None
    if parts.scheme not in ("file", "s3"):
        raise BadUrl(f"{expected}, got {f'a URL of the kind {parts.scheme!r}' if parts.scheme else 'no URL'}")
    if has_login or parts.query or parts.fragment:
        raise BadUrl(
            f"{expected} and nothing else: S3's keys and endpoint come from AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL"
        )
    path = parts.path.rstrip("/")
    if ".." in PurePosixPath(unquote(path)).parts:
        raise BadUrl(f"{expected}, got a path with '..' in it")
    if parts.scheme == "file":
        if parts.netloc or not path:
            raise BadUrl(
                f"{expected}, got {text!r}: a folder is written with three slashes, file:///srv/digits"
            )
        return f"file://{path}"
    if not _BUCKET.fullmatch(parts.netloc):
        raise BadUrl(f"{expected}, got {parts.netloc!r}, which is no name of a bucket")
    return f"s3://{parts.netloc}{path}"
