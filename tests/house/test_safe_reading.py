"""What is read from files and wires is data, never code: no pickle, no eval, no shell, no unchecked paths."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for folder in ("server", "frontend", "proto/digits", "scripts", "examples")
    for path in (ROOT / folder).rglob("*.py")
    if "_pb2" not in path.name
)

# Modules that run, or may run, what they read.
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "torch"}
FORBIDDEN_CALLS = {"eval", "exec", "__import__"}
# The last two names of a call that gives way to a shell, to any code or to any path, whatever its arguments.
FORBIDDEN_METHODS = {
    "os.system",
    "os.popen",
    "tempfile.mktemp",
    "config.enable_unsafe_deserialization",
    "keras.enable_unsafe_deserialization",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "ssl._create_unverified_context",
    "shutil.unpack_archive",
}
# By the whole name or the last one: the argument that makes it safe, as it must be written.
NEEDS = {
    "np.load": ("allow_pickle", "False"),
    "numpy.load": ("allow_pickle", "False"),
    "read_array": ("allow_pickle", "False"),
    "write_array": ("allow_pickle", "False"),
    "load_model": ("safe_mode", "True"),
    "extractall": ("filter", "'data'"),
    "extract": ("filter", "'data'"),
}


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Every call of a module, with the name of what is called: `np.lib.format.read_array`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def faults(source: str) -> list[str]:
    """The calls and imports of a module that are not allowed, each with its line."""
    tree = ast.parse(source)
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [
            f"{node.lineno}: import {name}"  # type: ignore[attr-defined]
            for name in names
            if name.partition(".")[0] in FORBIDDEN_IMPORTS
        ]
    for call, name in calls(tree):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        owner, _, last = name.rpartition(".")
        is_forbidden = name in FORBIDDEN_CALLS or ".".join(name.split(".")[-2:]) in FORBIDDEN_METHODS
        if is_forbidden or given.get("shell", "False") != "False" or given.get("allow_pickle") == "True":
            found.append(f"{call.lineno}: {ast.unparse(call)}")
        elif need := NEEDS.get(name) or (owner and NEEDS.get(last)):
            argument, value = need
            if given.get(argument) != value:
                found.append(f"{call.lineno}: {ast.unparse(call)} without {argument}={value}")
    return found


def test_nothing_that_is_read_can_run() -> None:
    assert len(SOURCES) > 200
    found = {str(path.relative_to(ROOT)): faults(path.read_text("utf-8")) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "eval(text)",
        "exec(text)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "numpy.lib.format.read_array(file)",
        "yaml.load(text)",
        "keras.saving.load_model(path)",
        "keras.models.load_model(path, safe_mode=False)",
        "keras.config.enable_unsafe_deserialization()",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
        "archive.extractall(folder)",
        "zipfile.ZipFile(path).extract(name)",
        "shutil.unpack_archive(path)",
        "tempfile.mktemp()",
    ],
)
def test_this_test_would_find(line: str) -> None:
    assert len(faults(line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        "np.load(path, mmap_mode='r', allow_pickle=False)",
        "json.load(file)",
        "engines.load(version)",
        "yaml.safe_load(text)",
        "keras.saving.load_model(path, compile=False, safe_mode=True)",
        "subprocess.run([program, text])",
        "tar.extractall(folder, filter='data')",
    ],
)
def test_and_would_let_pass(line: str) -> None:
    assert faults(line) == []


def test_every_keras_file_is_compared_with_its_checksum_before_it_is_loaded() -> None:
    """`load_model` is called in two places; both get files of the store that passed `verify_file`."""
    places = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if any(name.endswith("load_model") for _, name in calls(ast.parse(path.read_text("utf-8"))))
    ]
    assert places == ["server/trainer/convert.py", "server/trainer/teach.py"]
    assert "verify_file(spec.base, base, KERAS_MODEL)" in (ROOT / "server/trainer/teach.py").read_text()
    assert (
        "[verify_file(folder, version, name) for name in (KERAS_MODEL, ARTIFACT)]"
        in (ROOT / "server/exports.py").read_text()
    )
