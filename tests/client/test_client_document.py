"""docs/client.md shows what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from digits.cli.main import parser
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "client.md").read_text()


def test_its_first_program_prints_what_stands_below_it(
    live_server: Any, seven_png: bytes, tmp_path: Path
) -> None:
    (tmp_path / "seven.png").write_bytes(seven_png)
    Image.new("L", (100, 100), 255).save(tmp_path / "blank.png")
    program, shown = re.findall(r"```python\n(.*?)```\s*```\n(.*?)```", TEXT, re.DOTALL)[0]
    program = program.replace("127.0.0.1:50051", live_server.address)

    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )

    assert result.returncode == 0, result.stderr
    # The confidence is the deployed version's.
    without_confidence = re.compile(r"^(\d) \S+ \d+$", re.MULTILINE)
    assert without_confidence.sub(r"\1", result.stdout) == without_confidence.sub(r"\1", shown)


def test_it_names_every_command() -> None:
    commands = re.findall(r"^    (\w+)  ", parser().format_help(), re.MULTILINE)

    assert len(commands) == 13
    assert [name for name in commands if not re.search(rf"[$`] ?(digits )?{name}\b", TEXT)] == []
