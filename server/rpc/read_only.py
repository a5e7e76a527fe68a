"""The methods that a replica does not have: each says so, instead of being unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server.errors import ReadOnly
from server.rpc.interceptors import Context


class ReadOnlyServicer:
    """Stands for a service whose methods all belong to the server that owns the data."""

    def __getattr__(self, method: str) -> Callable[[Any, Context], Any]:
        async def refuse(request: Any, context: Context) -> Any:
            raise ReadOnly(method)

        return refuse
