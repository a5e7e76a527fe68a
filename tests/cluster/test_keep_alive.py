"""Ray's proxies are given the options of connections, or it is said that they are not."""

from __future__ import annotations

import importlib
import logging

import pytest
from ray.serve._private import grpc_util

from server.cluster.connection import RAYS_OWN_SETTINGS
from server.cluster.keep_alive import in_proxies, warn_without
from server.rpc.options import KEEP_ALIVE

RAYS = ("grpc.max_receive_message_length", 1)


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """Ray's own, for this test."""
    given: list[tuple[str, object]] = [RAYS]
    monkeypatch.setattr(grpc_util, "DEFAULT_GRPC_SERVER_OPTIONS", given)
    return given


def test_what_ray_calls_in_its_proxies_adds_them_once(
    options: list[tuple[str, object]], caplog: pytest.LogCaptureFixture
) -> None:
    module, _, name = RAYS_OWN_SETTINGS["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"].rpartition(".")
    for _ in range(2):
        getattr(importlib.import_module(module), name)()
    assert options == [RAYS, *KEEP_ALIVE]
    with caplog.at_level(logging.WARNING):
        warn_without()
    assert not caplog.records


def test_a_node_started_without_the_setting_is_told_of(
    options: list[tuple[str, object]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        warn_without()
    assert ["keep-alive" in record.message for record in caplog.records] == [True]


def test_a_ray_that_differs_inside_works_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(grpc_util, "DEFAULT_GRPC_SERVER_OPTIONS")
    in_proxies()
    with caplog.at_level(logging.WARNING):
        warn_without()
    assert ["keep-alive" in record.message for record in caplog.records] == [True]
