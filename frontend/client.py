"""The client as a page wants it: short deadlines, and a lost server told at once."""

from __future__ import annotations

from digits.client import Client, Deadlines, Environment

PREDICT_DEADLINE_S = 5.0
# A page that waits looks broken. The banner polls, and the page goes on by itself when the server is back.
DEADLINES = Deadlines(read_s=2.0, predict_s=PREDICT_DEADLINE_S)
RETRIES = 0


def connect(environment: Environment) -> Client:
    """The client for all visitors of this process: they act with the page's own token."""
    return Client(
        environment.address,
        token=environment.token,
        tls=environment.tls,
        deadlines=DEADLINES,
        retries=RETRIES,
    )
