"""The client and the command work with the base install: nothing of the server's, of the page's or of an
extra's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# What the packages of the base install are imported as, and what those need themselves.
NAMES = {
    "googleapis-common-protos": {"google"},
    "grpcio": {"grpc", "typing_extensions"},
    "grpcio-status": {"grpc_status"},
    "numpy": {"numpy"},
    "protobuf": {"google"},
}

ONLY = """
import sys

allowed = {allowed!r}

class Only:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in allowed:
            raise ModuleNotFoundError(f"{{top}} is not in the base install", name=top)

sys.meta_path.insert(0, Only())
from digits.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def base_names() -> set[str]:
    """The modules that the base install brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = {re.split(r"[^A-Za-z0-9-]", requirement)[0] for requirement in project["dependencies"]}
    assert packages == set(NAMES)
    return {"digits"}.union(*NAMES.values())


def run(server: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `digits` where only the base install can be imported."""
    return subprocess.run(
        [sys.executable, "-c", ONLY.format(allowed=base_names()), *map(str, arguments)],
        env=os.environ | {"DIGITS_SERVER": server},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_health_and_predict_need_the_base_install_only(
    live_server: Any, seven_png: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "seven.png"
    file.write_bytes(seven_png)

    health, predict = run(live_server.address, "health"), run(live_server.address, "predict", file)

    assert (health.returncode, health.stderr) == (0, "")
    assert "answers with version" in health.stdout
    assert (predict.returncode, predict.stderr) == (0, "")
    assert predict.stdout.startswith(f"{file}: 7 ")


def test_the_guard_of_this_test_guards() -> None:
    code = ONLY.format(allowed=base_names()).replace("from digits.cli.main import main", "import sqlalchemy")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert "sqlalchemy is not in the base install" in result.stderr


def test_the_command_is_installed_under_its_name() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert scripts == {"digits": "digits.cli.main:main"}
