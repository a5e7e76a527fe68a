"""Who may import what, seen from running programs; import-linter holds the rules between modules."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LOADED = """
import importlib, json, pkgutil, sys
for name in {packages!r}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.startswith({apart!r}):
            importlib.import_module(module.name)
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


def loaded_by(packages: list[str], apart: tuple[str, ...]) -> set[str]:
    """The top-level modules in memory after importing every module of `packages` but those `apart`."""
    code = LOADED.format(packages=packages, apart=apart)
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return set(ast.literal_eval(result.stdout))


def test_the_serving_process_imports_no_tensorflow_and_no_data_science_stack() -> None:
    # Programs of their own, and what only they import.
    apart = (
        *("server.trainer", "server.networks", "server.explanation.prepare", "server.explanation.cut"),
        *("server.tensorboard", "server.cluster", "server.models.folder_objects", "server.models.s3_objects"),
    )
    loaded = loaded_by(["server", "digits"], apart=apart)

    assert {"server", "digits", "onnxruntime", "grpc", "cv2", "sqlalchemy"} <= loaded
    assert (
        loaded & {"tensorflow", "keras", "tf2onnx", "onnx", "pandas", "scipy", "sklearn", "mlxtend"} == set()
    )
    assert loaded & {"frontend", "streamlit", "matplotlib"} == set()
    # Imported where a setting asks for them.
    assert loaded & {"ray", "psycopg", "fsspec", "s3fs", "botocore"} == set()


def test_the_client_needs_the_base_install_only() -> None:
    loaded = loaded_by(["digits"], apart=())

    assert {"digits", "grpc", "numpy"} <= loaded
    assert loaded & {"server", "frontend", "cv2", "onnxruntime", "streamlit", "sqlalchemy"} == set()


FRONTEND = sorted((ROOT / "frontend").rglob("*.py"))


@pytest.mark.parametrize("path", FRONTEND, ids=[str(path.relative_to(ROOT)) for path in FRONTEND])
def test_no_file_of_the_page_imports_the_server_tensorflow_or_opencv(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add((node.module or "").partition(".")[0])

    assert imported & {"server", "tensorflow", "keras", "cv2", "onnxruntime", "mlxtend"} == set()


def test_no_file_of_the_page_is_named_like_a_library() -> None:
    # `streamlit run frontend/app.py` puts frontend/ first on the path: such a name would shadow the library.
    names = {path.stem if path.is_file() else path.name for path in (ROOT / "frontend").iterdir()}

    assert (
        names & (set(sys.stdlib_module_names) | {"grpc", "numpy", "streamlit", "digits", "server"}) == set()
    )


def test_the_tests_are_no_packages() -> None:
    # An __init__.py here would make tests/server the `server` of every import.
    assert list((ROOT / "tests").rglob("__init__.py")) == []
    assert not (ROOT / "proto" / "__init__.py").exists()
