"""What gRPC itself has to say is told as what it is."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import logging
from grpc._cython import cygrpc
from server.logs import set_up_logging

set_up_logging("info")
log = logging.getLogger("grpc._cython.cygrpc")
try:
    raise cygrpc.ExecuteBatchError("Failed execute_batch")
except cygrpc.InternalError:
    log.exception("ExecuteBatchError raised in core by servicer method [/x/y]")
try:
    raise ZeroDivisionError("a bug")
except ZeroDivisionError:
    log.exception("Unexpected [ZeroDivisionError] raised by servicer method [/x/y]")
"""


def test_an_answer_that_could_not_be_sent_is_no_bug_and_a_bug_is_one() -> None:
    command = [sys.executable, "-c", SCRIPT]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    gone, bug = (json.loads(line) for line in lines)
    assert (gone["level"], gone["event"]) == ("info", "answer not sent: its caller has gone")
    assert "traceback" not in gone
    assert bug["level"] == "error"
    assert "ZeroDivisionError: a bug" in bug["traceback"]
