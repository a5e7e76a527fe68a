"""Keras without what it imports only because it is installed: a third of the time until a training begins."""

from __future__ import annotations

import sys

# The page brings the first two along. Keras offers to plot and to wrap with them; nothing here does.
UNUSED = ("matplotlib", "pandas", "sklearn")


def leave_out_the_unused() -> None:
    """Let these count as not installed in this process. Call it before Keras is imported."""
    for name in UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
