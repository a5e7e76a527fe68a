"""What README and CONTRIBUTING say is so."""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/serving.md",
    "docs/client.md",
    "docs/security.md",
    "docs/monitoring.md",
    "docs/operations.md",
]


def settings_in(paths: Iterable[Path]) -> set[str]:
    return {name for path in paths for name in re.findall(r"\bDIGITS_[A-Z_]+[A-Z]", path.read_text())}


def test_the_client_example_of_the_readme_reads_a_seven(live_server: Any, tmp_path: Path) -> None:
    paper = np.full((280, 280), 255, np.uint8)
    cv2.polylines(paper, [np.array([[70, 60], [200, 60], [120, 230]])], isClosed=False, color=0, thickness=18)
    cv2.imwrite(str(tmp_path / "seven.png"), paper)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    example = example.replace("127.0.0.1:50051", live_server.address)

    result = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)

    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"It is a 7, \d+\.\d% sure\.\n", result.stdout)


def test_the_readme_lists_every_setting_that_the_code_reads_and_no_other() -> None:
    sources = [
        *(ROOT / "server").rglob("*.py"),
        *(ROOT / "frontend").rglob("*.py"),
        *(ROOT / "proto").rglob("*.py"),
        *(ROOT / "scripts").iterdir(),
    ]

    assert set(re.findall(r"^\| `(DIGITS_\w+)`", README, re.MULTILINE)) == settings_in(sources)


def test_compose_and_the_images_use_documented_settings() -> None:
    files = [ROOT / "docker-compose.yml", ROOT / "server" / "Dockerfile", ROOT / "frontend" / "Dockerfile"]

    assert settings_in(files) - set(re.findall(r"`(DIGITS_\w+)`", README)) == set()


def test_the_readme_lists_every_method_of_the_contract() -> None:
    contract: dict[str, list[str]] = {}
    for path in (ROOT / "proto" / "digits" / "v1").glob("*.proto"):
        text = path.read_text()
        for service in re.findall(r"^service (\w+)", text, re.MULTILINE):
            contract[service] = re.findall(r"^  rpc (\w+)", text, re.MULTILINE)

    rows = re.findall(r"^\| (\w+Service) \| (.+) \|$", README, re.MULTILINE)

    assert {service: re.findall(r"`(\w+)`", methods) for service, methods in rows} == contract


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_paths_of_a_document_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text()
    linked = [target for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    named = re.findall(r"`((?:server|frontend|proto|tests|scripts|examples)/[\w./]*)`", text)
    # As the headings' links are made: in small letters, without punctuation, joined by dashes.
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    here = (ROOT / document).parent

    assert [target for target in named if not (ROOT / target).exists()] == []
    assert [target for target in linked if not (here / target.partition("#")[0]).exists()] == []
    assert {target[1:] for target in linked if target.startswith("#")} <= anchors


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_commands_of_a_document_exist(document: str) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`make (\w+)", (ROOT / document).read_text())) - targets == set()


def test_the_health_check_program_tells_a_server_that_serves_from_silence(live_server: Any) -> None:
    def check(address: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "server.healthcheck", address]
        return subprocess.run(command, capture_output=True, text=True)

    served, silent = check(live_server.address), check("127.0.0.1:1")

    assert (served.returncode, served.stderr) == (0, f"{live_server.address}: SERVING\n")
    assert (silent.returncode, silent.stderr) == (1, "127.0.0.1:1: UNAVAILABLE\n")
