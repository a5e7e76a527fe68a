"""`python -m server.trainer`: train one network as told on standard input; see `server.protocol`.

The program lives only as long as somebody holds its standard input open: when the serving process dies,
even by `kill -9`, the pipe closes and the child ends itself.
"""

from __future__ import annotations

import io
import json
import logging
import os
import threading
import traceback
from typing import Any, TextIO

from server.failures import explain
from server.logs import mark_all_lines, set_up_logging
from server.protocol import STOP, TrainingSpec
from server.trainer.lean import leave_out_the_unused
from server.trainer.reporter import Reporter

# Predictions take the processor from a training, never the other way round.
NICENESS = 10

log = logging.getLogger("server.trainer")


def main() -> int:
    """Train as told. Returns 0 after `done`, 1 after `failed`."""
    events = _keep_stdout_for_events()
    # Unbuffered: a thread that waits in sys.stdin would hold its lock when the interpreter shuts down.
    commands = io.FileIO(0, closefd=False)
    spec = TrainingSpec.from_json(json.loads(commands.readline()))
    stop = threading.Event()
    if spec.stop_early:
        stop.set()
    threading.Thread(target=_obey, args=(commands, stop), name="commands", daemon=True).start()
    os.nice(NICENESS)
    set_up_logging("info")
    # For every line and every event of this process, whichever thread writes it.
    caller = {"call_id": spec.call_id} if spec.call_id else {}
    mark_all_lines(spec.call_id)
    log.info("training begins", extra={"training_id": spec.training_id, "recipe": spec.recipe})
    sending = threading.Lock()

    def send(event: str, values: dict[str, Any]) -> None:
        with sending:
            events.write(json.dumps({"event": event, **caller, **values}) + "\n")
            events.flush()

    try:
        with Reporter(send, spec.options.epochs, spec.elapsed_s) as reporter:
            # TensorFlow takes seconds to import: only now, when progress is being told already.
            leave_out_the_unused()
            from server.trainer.run import train

            train(spec, reporter, stop)
    except Exception as error:
        # First: on a full disk the trace finds no room.
        send("failed", {"reason": explain(error)})
        traceback.print_exc()
        return 1
    send("done", {})
    return 0


def _keep_stdout_for_events() -> TextIO:
    """A private copy of standard output; what libraries print goes to standard error, the run's log."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return events


def _obey(commands: io.FileIO, stop: threading.Event) -> None:
    """Set `stop` when told to; end the program when nobody is left to tell anything."""
    while line := commands.readline():
        if json.loads(line) == STOP:
            stop.set()
    # At once, in whatever step the main thread is: nobody is left to hear about a tidy ending.
    os._exit(1)


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # TensorFlow's own teardown takes a second, and there is nothing left to save.
    os._exit(code)
