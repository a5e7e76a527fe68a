"""`python -m server [--read-only]`: the model server, set up by `DIGITS_…` variables (see the README).

With `--read-only` it is a replica: it serves the model folder of another server's DIGITS_DATA.

    python -m server backup FILE                  a copy of DIGITS_DATA, while its server runs or not
    python -m server restore FILE [--replace]     what such a copy holds becomes DIGITS_DATA

FILE is a .tar.gz, `-` standard output or input; docs/operations.md tells more.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from server.config import CannotStart, Config, InvalidSetting, read_config
from server.errors import DatabaseUnreachable
from server.failures import refusal_of
from server.logs import set_up_logging
from server.memory import return_large_blocks

if TYPE_CHECKING:
    from server.application import Application
    from server.replica import Replica

EXIT_CANNOT_START = 2


def main() -> int:
    """Serve until SIGTERM or SIGINT. Exit code 0 after an orderly end, 2 when it cannot start."""
    # Until `serve` takes over. As process 1 of a container Python would otherwise ignore it while it starts.
    signal.signal(signal.SIGTERM, _end_at_once)
    arguments = sys.argv[1:]
    try:
        if arguments and arguments[0] in ("backup", "restore"):
            from server.backup.command import run

            return run(arguments)
        _serve(read_config(os.environ, is_replica=_is_replica(arguments)))
    except CannotStart as error:
        sys.stderr.write(f"digits: {error}\n")
        return EXIT_CANNOT_START
    logging.shutdown()
    return 0


def _serve(config: Config) -> None:
    set_up_logging(config.log_level)
    return_large_blocks()
    with _data_folder(config):
        # After the settings: a bad one is told at once, not after everything was imported.
        import uvloop

        from server.rpc.server import serve

        application = _open(config)
        try:
            # The loop that takes a tenth less time than Python's own for the same calls (docs/serving.md).
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(application, config))
        finally:
            # A second one, from somebody in a hurry, must not cut off the orderly end.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            application.close()


@contextmanager
def _data_folder(config: Config) -> Iterator[None]:
    """The data folder for this process alone; a replica only reads. Raises CannotStart."""
    if config.is_replica:
        yield
        return
    from server.backup.swap import clear_dead, finish
    from server.claim import own

    with own(config.data, config.address):
        finish(config.data)
        clear_dead(config.data)
        yield


def _open(config: Config) -> Application | Replica:
    """Everything behind the services. Raises CannotStart, for a disk that is full or not written too."""
    from server.application import Application
    from server.replica import Replica

    try:
        return Replica(config) if config.is_replica else Application(config)
    except CannotStart:
        raise
    except Exception as error:
        if (refusal := refusal_of(error)) is None:
            raise
        what, fault = (text.partition(end)[0] for text, end in ((refusal.message, ";"), (str(error), "\n")))
        is_remote = isinstance(refusal, DatabaseUnreachable)
        place = "DIGITS_DATABASE_URL" if is_remote else f"DIGITS_DATA: {config.data}"
        raise CannotStart(
            f"{place}: {what} ({fault}); mend that and start again. Predictions can be "
            "answered meanwhile: python -m server --read-only"
        ) from None


def _end_at_once(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _is_replica(arguments: Sequence[str]) -> bool:
    if list(arguments) not in ([], ["--read-only"]):
        raise InvalidSetting(
            f"expected no argument, --read-only, backup FILE or restore FILE, got {' '.join(arguments)}"
        )
    return bool(arguments)


if __name__ == "__main__":
    sys.exit(main())
