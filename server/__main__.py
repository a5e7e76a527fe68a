"""`python -m server [--read-only]`: the model server, set up by `DIGITS_…` variables (see the README).

With `--read-only` it is a replica: it serves the model folder of another server's DIGITS_DATA.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from types import FrameType

from server.config import Config, InvalidSetting, read_config
from server.logs import set_up_logging

EXIT_BAD_SETTING = 2


def main() -> int:
    """Serve until SIGTERM or SIGINT. Exit code 0 after an orderly end, 2 for a bad setting."""
    # Until `serve` takes over. As process 1 of a container Python would otherwise ignore it while it starts.
    signal.signal(signal.SIGTERM, _end_at_once)
    try:
        config = read_config(os.environ, is_replica=_is_replica(sys.argv[1:]))
        set_up_logging(config.log_level)
        # After the settings: a bad one is told at once, not after everything was imported.
        import uvloop

        from server.application import Application
        from server.replica import Replica
        from server.rpc.server import serve

        application = Replica(config) if config.is_replica else Application(_writable(config))
        try:
            # The loop that takes a tenth less time than Python's own for the same calls (docs/serving.md).
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(application, config))
        finally:
            # A second one, from somebody in a hurry, must not cut off the orderly end.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            application.close()
    except InvalidSetting as error:
        sys.stderr.write(f"digits: {error}\n")
        return EXIT_BAD_SETTING
    logging.shutdown()
    return 0


def _end_at_once(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _is_replica(arguments: list[str]) -> bool:
    if arguments not in ([], ["--read-only"]):
        raise InvalidSetting(f"expected no argument or --read-only, got {' '.join(arguments)}")
    return bool(arguments)


def _writable(config: Config) -> Config:
    """The same config, its data folder made. Raises InvalidSetting when it cannot be."""
    try:
        config.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSetting(
            f"DIGITS_DATA: expected a folder that can be written, got {str(config.data)!r} ({error.strerror})"
        ) from None
    return config


if __name__ == "__main__":
    sys.exit(main())
