"""A small, typed client of the model server, for programs that want no stubs: see docs/client.md.

from digits.client import Client

with Client("127.0.0.1:50051") as client:
    print(client.predict(image).prediction.digit)
"""

from __future__ import annotations

from digits.client.async_client import AsyncClient
from digits.client.call import Deadlines
from digits.client.client import Client
from digits.client.environment import Environment
from digits.client.errors import ClientError, Refused, ServerFault, ServerUnavailable
from digits.client.tls import Tls

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Deadlines",
    "Environment",
    "Refused",
    "ServerFault",
    "ServerUnavailable",
    "Tls",
]
