"""The port: encrypted where there is a certificate, and said to be open where anybody may call."""

from __future__ import annotations

import logging

import grpc

from server.config import Config, InvalidSetting
from server.credentials import Tls

log = logging.getLogger(__name__)


def listen(server: grpc.aio.Server, config: Config) -> int:
    """Have the server listen, and return its port. Raises InvalidSetting when the address cannot be had."""
    try:
        if config.tls is None:
            return server.add_insecure_port(config.address)
        return server.add_secure_port(config.address, _credentials(config.tls))
    except RuntimeError:
        raise InvalidSetting(
            f"DIGITS_HOST, DIGITS_PORT: cannot listen on {config.address}; "
            "is another server running there? Set DIGITS_PORT to a free port"
        ) from None


def tell_who_may_call(config: Config) -> None:
    """Say in the log what guards the port, and warn where nothing does and others can reach it."""
    guards = {
        "tls": config.tls is not None,
        "client_certificates": config.tls is not None and config.tls.client_ca is not None,
        "tokens": config.tokens is not None,
    }
    if config.is_exposed:
        log.warning("open to others: DIGITS_INSECURE is set", extra={"host": config.host, **guards})
    else:
        log.info(
            "guarded" if any(guards.values()) else "open on loopback", extra={"host": config.host, **guards}
        )


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(tls.key_pem, tls.certificate_pem)],
        root_certificates=tls.client_ca_pem,
        require_client_auth=tls.client_ca_pem is not None,
    )
