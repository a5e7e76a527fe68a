"""The command `digits`: its options, its exit codes, and every failure as one line on stderr."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from digits.cli import evaluation, health, models, prediction, samples, sweep, training
from digits.cli.command import Exit, Output, WrongUse
from digits.client import Client, ClientError, Environment, ServerFault, ServerUnavailable

EXIT_CODES = """\
exit codes:
  0    done
  1    refused: the server understood and said no, or a run or a measurement failed
  2    wrong use: an option, or a file that cannot be read or written
  3    no server answers, or not in time
  4    the server failed; its log tells more
  130  interrupted

environment:
  DIGITS_SERVER           the server's address, host:port (127.0.0.1:50051)
  DIGITS_TOKEN_FILE       a file with the token to show (or DIGITS_TOKEN, the token itself)
  DIGITS_TLS_CA           the authority that signed the server's certificate; encrypts the connection
  DIGITS_TLS_CLIENT_CERT  the certificate to show, and DIGITS_TLS_CLIENT_KEY, its key
"""


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.WRONG_USE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """Every command and its options."""
    top = Parser(
        prog="digits",
        description="Read digits, train, measure and deploy models with a Digit Lab server.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # The same options before and after the command; not given, those after it leave the ones before it alone.
    common = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    for each in (top, common):
        each.add_argument("--server", metavar="ADDRESS", help="host:port of the server (DIGITS_SERVER)")
        each.add_argument("--json", action="store_true", help="JSON on stdout, and nothing else there")
        each.add_argument("--timeout", type=float, metavar="SECONDS", help="how long a call may take in all")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (prediction, training, sweep, evaluation, models, samples, health):
        module.add(commands, common)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    options = parser().parse_args(arguments)
    try:
        environment = Environment.read(os.environ)
        address = options.server or environment.address
        with Client(address, token=environment.token, tls=environment.tls) as client:
            code: int = options.run(client, options, Output(options.json))
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Who reads the output has seen enough. Python would complain when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except ClientError as error:
        return _fail(f"{error.message}{_where(error)}", _exit_code(error))
    except (WrongUse, OSError, ValueError) as error:
        return _fail(str(error), Exit.WRONG_USE)


def _exit_code(error: ClientError) -> Exit:
    if isinstance(error, ServerUnavailable):
        return Exit.UNAVAILABLE
    return Exit.FAULT if isinstance(error, ServerFault) else Exit.REFUSED


def _where(error: ClientError) -> str:
    words = " ".join(word for word in (error.reason or error.code, error.field) if word)
    if isinstance(error, ServerFault) and error.request_id:
        words += f", request {error.request_id}"
    return f" ({words})" if words else ""


def _fail(message: str, code: Exit) -> int:
    sys.stderr.write(f"digits: {' '.join(message.split())}\n")
    return code
