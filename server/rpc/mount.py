"""Where services are added as to a server, and the handlers of some of their methods kept back."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import grpc


class Mount:
    """Stands for a server where services are added to it: keeps the handlers of some methods back."""

    def __init__(self, server: grpc.aio.Server, kept: Collection[str]) -> None:
        """Keep the methods `kept`, by their full path."""
        self.server = server
        self._kept = kept
        self.handlers: dict[str, Any] = {}
        """Those that were kept, by path."""

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """As the server's own. What is kept is never looked for there."""
        self.server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """As the server's own, of what is not kept."""
        kept = {name: handler for name, handler in handlers.items() if f"/{service}/{name}" in self._kept}
        self.handlers |= {f"/{service}/{name}": handler for name, handler in kept.items()}
        others = {name: handler for name, handler in handlers.items() if name not in kept}
        self.server.add_registered_method_handlers(service, others)
