"""The committed stubs are what the .proto files say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def stubs_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*_pb2*.py*")}


def test_generating_the_stubs_again_gives_the_same_files_byte_for_byte(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "scripts/generate_stubs.py", "--out", tmp_path], cwd=ROOT, check=True)

    made, committed = stubs_below(tmp_path), stubs_below(ROOT / "proto")

    assert sorted(made) == sorted(committed), "run `make proto`"
    assert [name for name in made if made[name] != committed[name]] == [], "run `make proto`"


def test_every_service_of_the_contract_has_a_stub() -> None:
    sources = {path for path in (ROOT / "proto").rglob("*.proto") if "\nservice " in path.read_text()}

    assert sources
    assert {path for path in sources if not path.with_name(f"{path.stem}_pb2_grpc.py").exists()} == set()
