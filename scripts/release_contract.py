"""Take the contract of a release as what the next ones are compared with: writes proto/released.binpb.

    python scripts/release_contract.py v0.1.0

`buf breaking`, a part of `make lint`, then refuses changes that would break a client of that release.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGE = ROOT / "proto" / "released.binpb"


def write_image(revision: str, image: Path) -> None:
    """Write the contract as it was in a revision of the repository. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "proto.tar"
        subprocess.run(["git", "archive", "--output", archive, revision, "proto"], cwd=ROOT, check=True)
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        # The comments may change as they like, and are most of the size.
        buf = Path(sys.executable).with_name("buf")
        command: list[str | Path] = [buf, "build", "proto", "--exclude-source-info", "--output", image]
        subprocess.run(command, cwd=folder, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Keep the contract of a release to compare with.")
    parser.add_argument("revision", help="a tag or a commit, such as v0.1.0")
    parser.add_argument("--out", type=Path, default=IMAGE)
    options = parser.parse_args()
    write_image(options.revision, options.out.absolute())


if __name__ == "__main__":
    main()
