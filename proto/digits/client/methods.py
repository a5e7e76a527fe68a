"""How a function of `calls` becomes a method of a client: its arguments and its words, another answer."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def like(call: Callable[..., Any], returns: str = "{}", stream: str = "") -> Callable[[Method], Method]:
    """Decorate a method so that `help` shows the arguments of `call`, and its answer in the form `returns`.

    `stream`: the type of a first argument, `images`, that carries the requests of a stream.
    """

    def decorate(method: Method) -> Method:
        functools.update_wrapper(method, call)
        signature = inspect.signature(call)
        # "Unary[records.Answer]" of the call is records.Answer of the client.
        answer = str(signature.return_annotation).partition("[")[2].removesuffix("]")
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        first = [inspect.Parameter("self", kind)]
        if stream:
            first.append(inspect.Parameter("images", kind, annotation=stream))
            answer = answer.removeprefix("bytes, ")
        vars(method)["__signature__"] = signature.replace(
            parameters=[*first, *signature.parameters.values()], return_annotation=returns.format(answer)
        )
        return method

    return decorate
