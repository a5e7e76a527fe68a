"""Settings: read once, refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.addresses import place_of
from server.config import InvalidSetting, read_config


def test_without_settings_the_server_listens_on_loopback_and_keeps_its_data_in_the_current_folder() -> None:
    config = read_config({})
    assert config.address == "127.0.0.1:50051"
    assert config.data == Path("data").absolute()


def test_an_ipv6_host_is_put_in_brackets() -> None:
    assert read_config({"DIGITS_HOST": "::1"}).address == "[::1]:50051"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DIGITS_PORT", "http", "a whole number from 0 to 65535, got 'http'"),
        ("DIGITS_PORT", "70000", "a whole number from 0 to 65535, got '70000'"),
        ("DIGITS_PORT", "1.5", "a whole number from 0 to 65535, got '1.5'"),
        ("DIGITS_HOST", " ", "expected a value"),
        ("DIGITS_MNIST", "/nowhere/mnist.npz", "'/nowhere/mnist.npz', which does not exist"),
        ("DIGITS_MNIST_URL", "ftp://example.org/x", "an http:// or https:// address"),
        ("DIGITS_INSECURE", "yes", "0 or 1, got 'yes'"),
        ("DIGITS_METRICS_PORT", "http", "a whole number from 0 to 65535, got 'http'"),
        ("DIGITS_SAMPLES_MIB", "0", "a whole number from 1 to 1.07374e+09, got '0'"),
        ("DIGITS_LOG_LEVEL", "loud", "one of debug, info, warning, error, got 'loud'"),
        ("DIGITS_SHUTDOWN_GRACE_S", "nan", "a number from 0 to 300, got 'nan'"),
    ],
)
def test_a_bad_setting_is_refused_with_its_name_and_what_is_allowed(
    name: str, value: str, expected: str
) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        read_config({name: value})
    assert str(refusal.value).startswith(f"{name}: expected")
    assert expected in str(refusal.value)


def test_the_server_does_not_start_with_a_bad_setting() -> None:
    environment = {**os.environ, "DIGITS_PORT": "eighty"}
    ended = subprocess.run(
        [sys.executable, "-m", "server"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == "digits: DIGITS_PORT: expected a whole number from 0 to 65535, got 'eighty'\n"


def test_the_server_does_not_start_where_its_data_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    environment = {**os.environ, "DIGITS_DATA": str(tmp_path / "file" / "data"), "DIGITS_PORT": "0"}
    ended = subprocess.run(
        [sys.executable, "-m", "server"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("digits: DIGITS_DATA: expected a folder that can be written")


def test_without_urls_the_data_folder_holds_the_database_and_the_artifacts() -> None:
    for environment in ({}, {"DIGITS_DATABASE_URL": "", "DIGITS_ARTIFACTS_URL": " "}):
        config = read_config(environment)
        assert (config.database_url, config.artifacts_url) == (None, None)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_postgresql_database_is_reached_by_psycopg_however_its_url_begins(scheme: str) -> None:
    config = read_config(
        {"DIGITS_DATABASE_URL": f"{scheme}://lab:p%40ss@db.example:5433/digits?sslmode=require"}
    )
    assert config.database_url == "postgresql+psycopg://lab:p%40ss@db.example:5433/digits?sslmode=require"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://lab:secret@db/digits", "got a URL of the kind 'mysql'"),
        ("sqlite:///elsewhere.db", "got a URL of the kind 'sqlite'"),
        ("postgresql://lab:secret@db:port/digits", "got what is no such URL"),
        ("secret", "got what is no such URL"),
        ("postgresql://lab:secret@db", "got a URL that names no DATABASE"),
    ],
)
def test_a_bad_database_url_is_refused_without_its_password(url: str, expected: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        read_config({"DIGITS_DATABASE_URL": url})
    assert str(refusal.value).startswith("DIGITS_DATABASE_URL: expected postgresql://")
    assert expected in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_a_password_is_in_no_print_of_the_settings_and_in_no_words_for_the_database() -> None:
    config = read_config({"DIGITS_DATABASE_URL": "postgresql://lab:secret@db:5433/digits?password=secret"})
    assert config.database_url is not None
    assert "secret" not in repr(config)
    assert place_of(config.database_url) == "postgresql://db:5433/digits"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql:///digits?host=/run/postgresql", "postgresql:///run/postgresql/digits"),
        ("postgresql://lab@/digits?host=a:1&host=b:2", "postgresql://a:1,b:2/digits"),
        ("postgresql://[::1]:5432/digits", "postgresql://[::1]:5432/digits"),
        ("sqlite:////srv/digits.db", "/srv/digits.db"),
    ],
)
def test_the_place_of_a_database_is_told_in_words(url: str, place: str) -> None:
    assert place_of(url) == place


def test_a_replica_needs_no_database_and_takes_no_notice_of_one() -> None:
    for url in ("postgresql://db/digits", "nonsense"):
        assert read_config({"DIGITS_DATABASE_URL": url}, is_replica=True).database_url is None


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("file:///srv/digits/", "file:///srv/digits"),
        ("s3://digit-lab", "s3://digit-lab"),
        ("s3://digit-lab/models/", "s3://digit-lab/models"),
    ],
)
def test_artifacts_are_shared_in_a_folder_or_a_bucket(url: str, read: str) -> None:
    for is_replica in (False, True):
        assert read_config({"DIGITS_ARTIFACTS_URL": url}, is_replica).artifacts_url == read


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/srv/digits", "got no URL"),
        ("https://bucket/x", "got a URL of the kind 'https'"),
        ("file://srv/digits", "three slashes"),
        ("file:///", "three slashes"),
        ("file:///srv/../etc", "a path with '..' in it"),
        ("s3://", "no name of a bucket"),
        ("s3://Bucket_1/x", "'Bucket_1', which is no name of a bucket"),
        ("s3://key:secret@bucket/x", "AWS_SECRET_ACCESS_KEY"),
        ("s3://bucket/x?endpoint=http://other", "AWS_ENDPOINT_URL"),
        ("s3://bucket:port/x", "got what is no URL"),
    ],
)
def test_a_bad_artifacts_url_is_refused_without_its_keys(url: str, expected: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        read_config({"DIGITS_ARTIFACTS_URL": url})
    assert str(refusal.value).startswith(
        "DIGITS_ARTIFACTS_URL: expected file:///FOLDER or s3://BUCKET/PREFIX"
    )
    assert expected in str(refusal.value)
    assert "secret@" not in str(refusal.value)
