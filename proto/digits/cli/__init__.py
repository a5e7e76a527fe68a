"""`digits`: the model server from a terminal. `digits --help` lists the commands."""

from __future__ import annotations

import os

# What gRPC's core writes about lost connections is no line for a person: the command says it itself.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
