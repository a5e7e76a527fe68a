"""`python -m server.cluster`: the same services on Ray, set up by `DIGITS_…` variables (see docs/ray.md)."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
from types import FrameType

from server.cluster.settings import read_settings
from server.config import CannotStart, InvalidSetting, read_config
from server.logs import set_up_logging

EXIT_CANNOT_START = 2


def main() -> int:
    """Serve until SIGTERM or SIGINT. Exit code 0 after an orderly end, 2 when it cannot start."""
    signal.signal(signal.SIGTERM, _end_at_once)
    try:
        _serve()
    except CannotStart as error:
        sys.stderr.write(f"digits: {error}\n")
        return EXIT_CANNOT_START
    except KeyboardInterrupt:
        return 0
    logging.shutdown()
    return 0


def _serve() -> None:
    if sys.argv[1:]:
        raise InvalidSetting(f"expected no argument, got {' '.join(sys.argv[1:])}")
    if importlib.util.find_spec("ray") is None:
        raise CannotStart("Ray is not installed; pip install 'digit-lab[ray]' brings it")
    environment = dict(os.environ)
    config, settings = read_config(environment), read_settings(environment)
    if config.tls is not None:
        raise InvalidSetting(
            "DIGITS_TLS_CERT: expected none, since Ray's ingress has no TLS: put a proxy before it that "
            "ends TLS (docs/ray.md), and unset this"
        )
    set_up_logging(config.log_level)
    # After the settings: a bad one is told at once.
    from server.cluster.host import serve

    serve(config, settings, environment)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
