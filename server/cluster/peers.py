"""Who calls, as gRPC writes it."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote


def is_loopback(peer: str) -> bool:
    """Whether who calls, as gRPC writes it (`ipv4:127.0.0.1:1234`), is on the same machine."""
    scheme, _, rest = unquote(peer).partition(":")
    if scheme == "unix":
        return True
    try:
        address = ipaddress.ip_address(rest.rpartition(":")[0].strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
