"""The port: encrypted where there is a certificate, and said to be open where anybody may call.

Tokens and certificates are taken up anew when their files change. What is wrong with a new file is logged,
and the old one stays in force: half a certificate must not lock everybody out, nor an empty file let them in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import grpc

from server.config import Config, InvalidSetting
from server.credentials import BadFile, Tls, Tokens, Watched, read_tls, read_tokens

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


def listen(server: grpc.aio.Server, config: Config, renewal: Renewal) -> int:
    """Have the server listen, and return its port. Raises InvalidSetting when the address cannot be had."""
    try:
        if config.tls is None:
            return server.add_insecure_port(config.address)
        return server.add_secure_port(config.address, _credentials(config.tls, renewal.fetch))
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


class Renewal:
    """Takes up tokens and certificates anew when their files change."""

    def __init__(self, config: Config) -> None:
        """Watch the files of this config."""
        self._tokens, self._tls = config.tokens, config.tls
        self._is_given = True
        self._tokens_file = Watched(None if config.tokens is None else config.tokens.path)
        tls = config.tls
        self._tls_files = Watched(*(() if tls is None else (tls.certificate, tls.key, tls.client_ca)))

    async def follow(self, on_tls: Callable[[Tls], None] | None = None) -> None:
        """Look at the files, for as long as nobody cancels this; `on_tls` hears of each new certificate."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            new = await asyncio.to_thread(self.look)
            if new is not None and on_tls is not None:
                on_tls(new)

    def look(self) -> Tls | None:
        """Take up what has changed; returns the new certificate if there is one."""
        if self._tokens is not None and self._tokens_file.have_changed():
            self._renew_tokens(self._tokens)
        if self._tls is not None and self._tls_files.have_changed():
            return self._renew_tls(self._tls)
        return None

    def fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """The certificate for a handshake; None: that of the one before. gRPC asks each time."""
        if self._tls is None or self._is_given:
            return None
        self._is_given = True
        return _configuration(self._tls)

    def _renew_tokens(self, tokens: Tokens) -> None:
        assert tokens.path is not None
        try:
            tokens.become(read_tokens(tokens.path))
        except BadFile as error:
            log.error("tokens not renewed", extra={"reason": f"{error}; those before go on to be let in"})
            return
        log.info("tokens renewed", extra={"tokens": len(tokens)})

    def _renew_tls(self, old: Tls) -> Tls | None:
        try:
            new = read_tls(old.certificate, old.key, old.client_ca)
        except BadFile as error:
            log.error("certificate not renewed", extra={"reason": f"{error}; the one before stays"})
            return None
        self._tls, self._is_given = new, False
        log.info("certificate renewed", extra={"certificate": str(new.certificate)})
        return new


def _credentials(
    tls: Tls, fetch: Callable[[], grpc.ServerCertificateConfiguration | None]
) -> grpc.ServerCredentials:
    # The types forget that None means: nothing new.
    return grpc.dynamic_ssl_server_credentials(
        _configuration(tls),
        fetch,  # type: ignore[arg-type]
        require_client_authentication=tls.client_ca is not None,
    )


def _configuration(tls: Tls) -> grpc.ServerCertificateConfiguration:
    pair = (tls.key_pem, tls.certificate_pem)
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=tls.client_ca_pem)
