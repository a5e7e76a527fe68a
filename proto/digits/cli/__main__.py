"""`python -m digits.cli` is `digits`."""

from __future__ import annotations

import sys

from digits.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
