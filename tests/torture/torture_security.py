"""Get in, get out, get at the rest: tokens, names, archives, pictures and the page's port, on real servers.

    python tests/torture/torture.py security

What a visitor's browser makes of hostile texts and files is in tests/browser.
"""

from __future__ import annotations

from pathlib import Path

from torture_parts import say
from torture_security_access import try_access
from torture_security_archives import try_archives
from torture_security_checks import Checks
from torture_security_images import try_images
from torture_security_names import try_names
from torture_security_page import try_page


def run(folder: Path, is_quick: bool) -> dict[str, float]:
    """Try everything, and count what was tried and what did not go as it must."""
    checks = Checks()
    for name, part in {
        "access": lambda to: try_access(to, checks, is_quick),
        "archives": lambda to: try_archives(to, checks, is_quick),
        "names": lambda to: try_names(to, checks, is_quick),
        "images": lambda to: try_images(to, checks, is_quick),
        "page": lambda to: try_page(to, checks),
    }.items():
        counted, failed = checks.count, len(checks.failures)
        part(folder / name)
        say(f"{name}: {checks.count - counted} checks", checks.failures[failed:])
    return {"security_checks": checks.count, "security_failures": len(checks.failures)}
