"""`python -m server.trainer`: train one network as told on standard input; see `server.protocol`.

The program lives only as long as somebody holds its standard input open: when the serving process dies,
even by `kill -9`, the pipe closes and the child ends itself.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from typing import Any, TextIO

from server.failures import explain
from server.logs import set_up_logging
from server.protocol import TrainingSpec
from server.trainer.reporter import Reporter

# Predictions take the processor from a training, never the other way round.
NICENESS = 10


def main() -> int:
    """Train as told. Returns 0 after `done`, 1 after `failed`."""
    events = _keep_stdout_for_events()
    spec = TrainingSpec.from_json(json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_stdin, name="stdin-watch", daemon=True).start()
    os.nice(NICENESS)
    set_up_logging("info")
    sending = threading.Lock()

    def send(event: str, values: dict[str, Any]) -> None:
        with sending:
            events.write(json.dumps({"event": event, **values}) + "\n")
            events.flush()

    try:
        with Reporter(send, spec.options.epochs) as reporter:
            # TensorFlow takes seconds to import: only now, when progress is being told already.
            from server.trainer.run import train

            train(spec, reporter)
    except Exception as error:
        traceback.print_exc()
        send("failed", {"reason": explain(error)})
        return 1
    send("done", {})
    return 0


def _keep_stdout_for_events() -> TextIO:
    """A private copy of standard output; what libraries print goes to standard error, the run's log."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return events


def _end_with_stdin() -> None:
    # Not through sys.stdin: a thread that waits in it would hold its lock when the interpreter shuts down.
    while os.read(0, 4096):
        pass
    # At once, in whatever step the main thread is: nobody is left to hear about a tidy ending.
    os._exit(1)


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # TensorFlow's own teardown takes a second, and there is nothing left to save.
    os._exit(code)
