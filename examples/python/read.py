"""Read the digit in each image file, and ask a person where the model is not sure.

python examples/python/read.py seven.png four.png        DIGITS_SERVER: 127.0.0.1:50051 unless set
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from digits.client import Client, ClientError, Environment, Refused


def main(files: list[str]) -> int:
    environment = Environment.read(os.environ)
    with Client(environment.address, token=environment.token, tls=environment.tls) as client:
        for file in files:
            try:
                answer = client.predict(Path(file).read_bytes())
            except Refused as error:
                print(f"{file}: refused, {error.reason}: {error.message}")
                continue
            except ClientError as error:
                print(error.message, file=sys.stderr)
                return 1
            prediction = answer.prediction
            doubt = " (better ask a person)" if prediction.is_uncertain else ""
            print(f"{file}: {prediction.digit}, {prediction.confidence:.1%} sure{doubt}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
