"""The lock files: exact versions, every one with its hashes, no address, and all of one mind."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [
    "server/requirements.lock",
    "server/requirements-ray.lock",
    "frontend/requirements.lock",
    "tests/requirements.lock",
]

ENTRY = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>[0-9][^ ;\\]*)(?: ; (?P<marker>[^\\]+))? \\\n"
    r"(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    re.MULTILINE,
)


def versions(lock: str) -> dict[str, str]:
    """Version by package of a lock file. Each package has one version, whatever the platform."""
    entries = [match.groupdict() for match in ENTRY.finditer((ROOT / lock).read_text())]
    by_name = {entry["name"]: entry["version"] for entry in entries}
    assert len(by_name) == len(entries) > 0
    return by_name


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_a_pinned_version_or_its_hash(lock: str) -> None:
    text = (ROOT / lock).read_text()

    left = [line for line in ENTRY.sub("", text).splitlines() if line and not line.startswith("#")]

    assert left == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_registry(lock: str) -> None:
    text = (ROOT / lock).read_text()

    assert re.findall(r"\w+://|--(?:extra-)?index-url|--find-links|--trusted-host", text) == []


@pytest.mark.parametrize("lock", LOCKS[:3])
def test_the_tests_run_what_the_images_hold(lock: str) -> None:
    everything = versions("tests/requirements.lock")

    assert {name: everything.get(name) for name in versions(lock)} == versions(lock)


def test_the_page_is_installed_without_tensorflow_and_opencv_and_the_server_without_streamlit() -> None:
    page, server = versions("frontend/requirements.lock"), versions("server/requirements.lock")

    assert {name for name in page if name.startswith(("tensorflow", "keras", "opencv", "onnx"))} == set()
    assert {
        name for name in server if name.startswith(("streamlit", "pandas", "scikit", "matplotlib"))
    } == set()


def test_one_tensorflow_is_installed_on_every_platform() -> None:
    text = (ROOT / "server/requirements.lock").read_text()
    markers = {m["name"]: m["marker"] for m in ENTRY.finditer(text) if m["name"].startswith("tensorflow")}

    assert markers == {
        "tensorflow-cpu": "platform_machine == 'x86_64' and sys_platform == 'linux'",
        "tensorflow": "platform_machine != 'x86_64' or sys_platform != 'linux'",
    }


def test_every_requirement_of_the_project_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[^A-Za-z0-9-]", requirement)[0] for group in groups for requirement in group}

    assert names - set(versions("tests/requirements.lock")) == {project["name"]}, "run `make lock`"
