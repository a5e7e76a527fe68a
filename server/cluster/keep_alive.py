"""Connections to Ray's gRPC proxies, kept as those to the plain server: silent ones stay, dead ones do not.

Ray makes the server of a proxy before it imports `add_services`, from a list of options that no setting
reaches. In each proxy it calls `in_proxies` earlier: RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH, which is
meant for HTTP.
"""

from __future__ import annotations

import importlib
import logging

from server.rpc.options import KEEP_ALIVE

log = logging.getLogger(__name__)


def in_proxies() -> None:
    """Let the server that this process is about to make keep its connections. Raises nothing."""
    options = _options()
    if options is not None:
        options.extend(option for option in KEEP_ALIVE if option not in options)


def warn_without() -> None:
    """Say so, once for a proxy, when Ray differs inside or its node was started without the setting."""
    options = _options()
    if options is None or not set(KEEP_ALIVE) <= set(options):
        log.warning("without keep-alive: silent streams end, vanished callers stay (docs/ray.md)")


def _options() -> list[tuple[str, object]] | None:
    """What Ray makes servers from; None where it is elsewhere."""
    try:
        found = importlib.import_module("ray.serve._private.grpc_util").DEFAULT_GRPC_SERVER_OPTIONS
    except (ImportError, AttributeError):
        return None
    return found if isinstance(found, list) else None
