"""Write the Python stubs of the contract beside its .proto files, or into another folder.

    python scripts/generate_stubs.py [--out FOLDER]

The same sources give the same bytes on every machine: the plugins are pinned in tests/requirements.lock.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"


def generate(out: Path) -> None:
    """Generate messages, services and their types for every .proto of proto/. Raises CalledProcessError."""
    for stale in out.rglob("*_pb2*.py*"):
        stale.unlink()
    sources = sorted(PROTO.rglob("*.proto"))
    # A file without a service would only give an empty module of services.
    services = [source for source in sources if "\nservice " in source.read_text()]
    _protoc(sources, f"--python_out={out}", f"--mypy_out=quiet:{out}")
    _protoc(services, f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}")


def _protoc(sources: list[Path], *outputs: str) -> None:
    # Names relative to -I end up in the stubs: `from digits.v1 import …` works wherever they are installed.
    names = [str(source.relative_to(PROTO)) for source in sources]
    # protoc looks for protoc-gen-mypy on the path; it is installed beside this interpreter.
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", *outputs, *names]
    subprocess.run(command, check=True, env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the stubs of the contract.")
    parser.add_argument("--out", type=Path, default=PROTO)
    generate(parser.parse_args().out)


if __name__ == "__main__":
    main()
