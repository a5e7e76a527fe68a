"""`python -m server`: the model server, set up by `DIGITS_…` variables (see the README)."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from server.config import InvalidSetting, read_config
from server.logs import set_up_logging

EXIT_BAD_SETTING = 2


def main() -> int:
    """Serve until SIGTERM or SIGINT. Exit code 0 after an orderly end, 2 for a bad setting."""
    try:
        config = read_config(os.environ)
        set_up_logging(config.log_level)
        # After the settings: a bad one is told at once, not after everything was imported.
        from server.application import Application
        from server.rpc.server import serve

        try:
            config.data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidSetting(
                f"DIGITS_DATA: expected a folder that can be written, "
                f"got {str(config.data)!r} ({error.strerror})"
            ) from None
        application = Application(config)
        try:
            asyncio.run(serve(application, config))
        finally:
            application.close()
    except InvalidSetting as error:
        sys.stderr.write(f"digits: {error}\n")
        return EXIT_BAD_SETTING
    logging.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
