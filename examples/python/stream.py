"""Read many image files over one stream with asyncio: for bulk, the fastest way there is.

    python examples/python/stream.py folder-of-images        DIGITS_SERVER: 127.0.0.1:50051 unless set

Files are read while answers come. The server holds the sender back when it is busy, so that neither side
keeps more than a few images in memory, however many there are.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from digits.client import AsyncClient, ClientError, Environment


async def read(files: Sequence[Path]) -> Counter[int]:
    """How often each digit was read."""

    async def images() -> AsyncIterator[bytes]:
        for file in files:
            yield await asyncio.to_thread(file.read_bytes)

    environment = Environment.read(os.environ)
    counts: Counter[int] = Counter()
    async with AsyncClient(environment.address, token=environment.token, tls=environment.tls) as client:
        place = 0
        async for outcome in client.stream_predict(images()):
            # One bad image does not end the stream: its answer is the error.
            if isinstance(outcome, ClientError):
                print(f"{files[place].name}: {outcome.message}", file=sys.stderr)
            else:
                counts[outcome.prediction.digit] += 1
            place += 1
    return counts


if __name__ == "__main__":
    found = sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_file())
    print(", ".join(f"{digit}: {count}" for digit, count in sorted(asyncio.run(read(found)).items())))
