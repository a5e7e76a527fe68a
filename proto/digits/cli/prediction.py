"""`digits predict` and `digits read`."""

from __future__ import annotations

import argparse
from typing import Any

from digits.cli.command import Commands, Exit, Output, add_version, choice, file, percent
from digits.client import Client, Refused
from digits.client.choices import Preprocessing
from digits.client.records import Prediction


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    predict = commands.add_parser("predict", parents=[common], help="read one digit in each image file")
    predict.add_argument("files", nargs="+", type=file, metavar="FILE", help="PNG, JPEG, WebP or BMP")
    predict.add_argument(
        "--preprocessing",
        type=choice(Preprocessing),
        default=Preprocessing.UNSPECIFIED,
        metavar="HOW",
        help="normalise (the default) or resize",
    )
    add_version(predict)
    predict.set_defaults(run=run_predict)

    read = commands.add_parser("read", parents=[common], help="read every digit in an image file")
    read.add_argument("file", type=file, metavar="FILE", help="PNG, JPEG, WebP or BMP")
    add_version(read)
    read.set_defaults(run=run_read)


def run_predict(client: Client, options: argparse.Namespace, output: Output) -> int:
    """One line a file. A refused image does not keep the others from being read."""
    results: list[dict[str, Any]] = []
    code = Exit.DONE
    for path in options.files:
        try:
            answer = client.predict(
                path.read_bytes(),
                preprocessing=options.preprocessing,
                model_version=options.model_version,
                timeout_s=options.timeout,
            )
        except Refused as error:
            if not error.field.startswith("image"):
                raise
            code = Exit.REFUSED
            results.append({"file": str(path), "error": {"reason": error.reason, "message": error.message}})
            output.note(f"digits: {path}: {error.message} ({error.reason})")
            continue
        results.append(
            {"file": str(path), **_prediction(answer.prediction), "model_version": answer.model_version}
        )
        if not output.is_json:
            output.result(None, _line(str(path), answer.prediction))
    if output.is_json:
        output.result(results, "")
    return code


def run_read(client: Client, options: argparse.Namespace, output: Output) -> int:
    """The digits as text; in JSON with their boxes."""
    answer = client.read_number(
        options.file.read_bytes(), model_version=options.model_version, timeout_s=options.timeout
    )
    digits = [
        {**_prediction(digit.prediction), "box": digit.box, "line": digit.line} for digit in answer.digits
    ]
    value = {"text": answer.text, "digits": digits, "model_version": answer.model_version}
    output.result(value, answer.text)
    return Exit.DONE


def _prediction(prediction: Prediction) -> dict[str, Any]:
    return {
        "digit": prediction.digit,
        "confidence": prediction.confidence,
        "is_uncertain": prediction.is_uncertain,
        "probabilities": prediction.probabilities,
    }


def _line(name: str, prediction: Prediction) -> str:
    doubt = "  uncertain" if prediction.is_uncertain else ""
    return f"{name}: {prediction.digit}  {percent(prediction.confidence)}{doubt}"
