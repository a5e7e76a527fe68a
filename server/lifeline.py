"""What ties a child program to the server that started it."""

from __future__ import annotations

import os
import threading


def end_with_stdin() -> None:
    """End this process when the server that holds its standard input open is gone, however it went."""

    def watch() -> None:
        # Not through sys.stdin: a thread waiting in it would hold its lock when the interpreter shuts down.
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
