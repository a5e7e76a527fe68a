"""What the page shows as HTML is its own or escaped: no text of a person, a file or the server as it came.

Each value that goes into a piece of HTML is followed back, within its function, to what cannot hold a tag:
a number, a text of this program, `escape(…)`, or another function whose name ends in `_html`, which is looked
at in the same way. What cannot be followed so is listed below, with why it is harmless, and nothing else may
be there.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path

import pytest
from digits.client import records

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "frontend"

# They give numbers in words, dates, or base64, whatever they are given.
PLAIN = {
    *("len", "_moment", "data_uri", "points", "probability", "wording.ago", "wording.count"),
    *("wording.duration", "wording.percent", "wording.probability", "wording.size", "_square", "count"),
    *("entry.create_time.isoformat", "percent"),
}
# Attributes of the page's own classes that are numbers, or made of such.
PLAIN_ATTRIBUTES = {"shown", "read", "rival", "width"}
# What a reader has looked at: file, function, expression -> why it holds no text of others.
REVIEWED: Mapping[tuple[str, str, str], str] = {
    ("app_pages/draw.py", "choose_settings", "PREPARATIONS[preprocessing][1]"): "a text of this program",
    ("app_pages/draw.py", "show", "preparation.EMPTY"): "a text of this program",
    ("app_pages/models.py", "show", "gate_line(model)"): "HTML whose pieces are looked at as all are",
    ("app_pages/models.py", "show_details", "figures"): "of gate_html",
    ("mistakes/compare.py", "_headline", "words.verdict(found)"): "sentences around numbers",
    ("mistakes/detail_html.py", "bars_html", "names.get(digit, '')"): "from a table in the function",
    ("mistakes/detail_html.py", "bars_html", "names.get(digit, 'other')"): "from a table in the function",
    ("mistakes/detail_html.py", "_picture_html", "heading(subject)"): "two labels, which are numbers",
    ("mistakes/detail_html.py", "_picture_html", "str(digit == explained).lower()"): "true or false",
    ("mistakes/detail_html.py", "likes_html", "count"): "of a Counter of labels, which are numbers",
    ("mistakes/detail_html.py", "likes_html", "label"): "of a Counter of labels, which are numbers",
    ("mistakes/occlusion.py", "legend_html", "words(explanation)"): "HTML around numbers",
    ("my_digits/detail.py", "_drawing", "base64.b64encode(data).decode()"): "base64",
    (
        "my_digits/detail.py",
        "_drawing",
        "next((kind for start, kind in _KINDS.items() if data.startswith(start)), '')",
    ): "one of four names of formats",
    ("number_answer.py", "_letter_html", "str(digit.prediction.digit)"): "a number",
    ("number_answer.py", "number_html", "max([len(line) for line in lines], default=1)"): "a number",
    ("probabilities.py", "answer_html", "digit"): "of a list of digits",
    ("style.py", "apply", "Path(__file__).with_suffix('.css')"): "the page's own style sheet",
    (
        "verdict.py",
        "_row",
        "{'passed': 'is-passed', 'not passed': 'is-held'}.get(mark, '')",
    ): "one of its texts",
    ("verdict.py", "_row", "mark"): "passed, not passed or nothing, by its two callers",
    ("verdict.py", "_row", "difference"): "points() or a dash, by its two callers",
    ("verdict.py", "_row", "span"): "points() or nothing, by its two callers",
}
Function = ast.FunctionDef | ast.Module


def numbers_of_records() -> set[str]:
    """The fields that are numbers, or members of an enum, in every record of the client that has them."""
    kinds: dict[str, list[bool]] = {}
    for record in vars(records).values():
        if isinstance(record, type) and dataclasses.is_dataclass(record):
            hints = typing.get_type_hints(record)
            for field in dataclasses.fields(record):
                kinds.setdefault(field.name, []).append(_is_number(hints[field.name]))
    return {name for name, each in kinds.items() if all(each)}


def _is_number(hint: object) -> bool:
    if isinstance(hint, types.UnionType):
        return all(_is_number(one) for one in typing.get_args(hint) if one is not type(None))
    return isinstance(hint, type) and issubclass(hint, (bool, int, float, Enum))


NUMBERS = numbers_of_records()


class Page:
    """One module of the page."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.tree = ast.parse(source)

    def functions(self) -> Iterator[Function]:
        yield self.tree
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                yield node

    def unproven(self) -> set[tuple[str, str, str]]:
        """The values that go into HTML without a proof: file, function, expression."""
        found = set()
        for function in self.functions():
            for value in html_of(function):
                for part in self._open(value, function, frozenset()):
                    found.add((self.name, getattr(function, "name", ""), ast.unparse(part)))
        return found

    def _open(self, value: ast.expr, function: Function, seen: frozenset[str]) -> Iterator[ast.expr]:
        """The parts of an expression that nothing proves harmless."""
        match value:
            case ast.Constant():
                return
            case ast.JoinedStr():
                for part in value.values:
                    if isinstance(part, ast.FormattedValue) and not is_numeric_format(part):
                        yield from self._open(part.value, function, seen)
            case ast.IfExp():
                yield from self._open(value.body, function, seen)
                yield from self._open(value.orelse, function, seen)
            case ast.BoolOp():
                for one in value.values:
                    yield from self._open(one, function, seen)
            case ast.BinOp(op=ast.Add()):
                yield from self._open(value.left, function, seen)
                yield from self._open(value.right, function, seen)
            case ast.Call():
                yield from self._open_call(value, function, seen)
            case ast.Attribute(attr=name) if name.endswith("_html") or name in NUMBERS | PLAIN_ATTRIBUTES:
                return
            case ast.Subscript(value=table) if self._is_table(table):
                return
            case ast.Name(id=name) if name.endswith("_html") or name in seen or name.isupper():
                return  # In capital letters: a text, a number or a path of this program.
            case ast.Name(id=name) if name in whole_parameters(function):
                return
            case ast.Name(id=name) if sources := list(assigned(name, function)):
                for source in sources:
                    yield from self._open(source, function, seen | {name})
            case _:
                yield value

    def _open_call(self, call: ast.Call, function: Function, seen: frozenset[str]) -> Iterator[ast.expr]:
        name = ast.unparse(call.func)
        last = name.rpartition(".")[2]
        if last == "escape" or last.endswith("_html") or name in PLAIN:
            return
        if last == "join" and call.args:
            match call.args[0]:
                case ast.GeneratorExp(elt=each) | ast.ListComp(elt=each):
                    yield from self._open(each, function, seen)
                    return
                case ast.Call(func=ast.Name(id="map"), args=[ast.Name(id=maker), *_]) if maker.endswith(
                    "_html"
                ):
                    return
                case ast.Call(func=ast.Name(id=maker)) if maker == "_rows":
                    return  # A generator of `_row`, which is looked at by itself.
        yield call

    def _is_table(self, table: ast.expr) -> bool:
        """Whether this is a table of this program whose values hold no HTML."""
        owner, _, name = ast.unparse(table).rpartition(".")
        tree = ast.parse((PAGE / f"{owner}.py").read_text("utf-8")) if owner == "wording" else self.tree
        for node in tree.body:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if ast.unparse(target) == name:
                    values = [ast.literal_eval(value) for value in node.value.values]
                    return not re.search(r"[<>&\"]", str(values))
        return False


def whole_parameters(function: Function) -> set[str]:
    """The parameters of a function that are whole numbers, as mypy has checked."""
    if isinstance(function, ast.Module):
        return set()
    given = [*function.args.args, *function.args.kwonlyargs]
    return {one.arg for one in given if one.annotation and ast.unparse(one.annotation) == "int"}


def is_numeric_format(part: ast.FormattedValue) -> bool:
    """Whether it is formatted as only a number, or a moment, can be: a text would raise."""
    if part.format_spec is None:
        return False
    spec = ast.unparse(part.format_spec).strip("f'\"")
    return bool(re.fullmatch(r"\+?,?(\.\d?\{?\w*\}?)?[f%g]?|,|%b %Y.*|%d %b %Y.*", spec)) and spec != ""


def assigned(name: str, function: Function) -> Iterator[ast.expr]:
    """What a name is made of in a function; nothing when it is a parameter or comes from elsewhere."""
    for node in own_nodes(function):
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from paired(name, target, node.value)
        elif isinstance(node, (ast.For, ast.comprehension)):
            yield from looped(name, node.target, node.iter)


def paired(name: str, target: ast.expr, value: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Name) and target.id == name:
        yield value
    elif isinstance(target, ast.Tuple):
        values = [value]
        if isinstance(value, ast.IfExp):
            values = [value.body, value.orelse]
        for one in values:
            if isinstance(one, ast.Tuple) and len(one.elts) == len(target.elts):
                for left, right in zip(target.elts, one.elts, strict=True):
                    yield from paired(name, left, right)
            elif any(isinstance(each, ast.Name) and each.id == name for each in target.elts):
                yield one


def looped(name: str, target: ast.expr, values: ast.expr) -> Iterator[ast.expr]:
    """What a loop's variable is, where its values are written down or counted."""
    if isinstance(values, ast.Tuple):
        for one in values.elts:
            yield from paired(name, target, one)
    elif (
        isinstance(values, ast.Call)
        and ast.unparse(values.func) == "enumerate"
        and isinstance(target, ast.Tuple)
        and ast.unparse(target.elts[0]) == name
    ):
        yield ast.Constant(0)


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions within it; lambdas are its own."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.FunctionDef):
            yield node
            waiting += ast.iter_child_nodes(node)


def html_of(function: Function) -> Iterator[ast.expr]:
    """What a function shows as HTML, and each piece of HTML that it writes."""
    for node in own_nodes(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "html":
            yield node.args[0]
        elif isinstance(node, ast.JoinedStr) and re.search(r"<[a-z/]", texts(node)):
            yield node
        elif isinstance(node, ast.Return) and node.value and getattr(function, "name", "").endswith("_html"):
            yield node.value


def texts(node: ast.JoinedStr) -> str:
    return "".join(part.value for part in node.values if isinstance(part, ast.Constant))


def test_every_value_in_the_html_of_the_page_is_escaped_or_cannot_hold_a_tag() -> None:
    modules = {path.relative_to(PAGE).as_posix(): path.read_text("utf-8") for path in PAGE.rglob("*.py")}
    unproven = set().union(*(Page(name, source).unproven() for name, source in modules.items()))
    assert unproven - set(REVIEWED) == set(), "escape() it, or tell above why it is harmless"
    assert set(REVIEWED) - unproven == set(), "no longer there: take it off the list"


@pytest.mark.parametrize(
    ("body", "is_fine"),
    [
        ("st.html(f'<b>{escape(model.cause)}</b>')", True),
        ("st.html(f'<b>{model.model_version}</b>')", True),
        ("st.html(f'<b>{loss:.4f}</b>')", True),
        (
            "rows = ''.join(f'<li>{escape(each)}</li>' for each in causes)\n    st.html(f'<ul>{rows}</ul>')",
            True,
        ),
        ("st.html(f'<b>{model.cause}</b>')", False),
        ("st.html(cause)", False),
        ("text = model.cause\n    st.html(f'<b>{text}</b>')", False),
        ("text = 'none'\n    text += model.cause\n    side.html(f'<b>{text}</b>')", False),
        ("st.html('<b>' + model.cause + '</b>')", False),
        ("st.html('<b>%s</b>' % cause)", False),
        ("st.html('<b>{}</b>'.format(cause))", False),
        ("rows = ''.join(f'<li>{each}</li>' for each in causes)\n    st.html(rows)", False),
        ("st.html(f'<b>{cause!s:>20}</b>')", False),
    ],
)
def test_this_test_tells_what_is_escaped_from_what_is_not(body: str, is_fine: bool) -> None:
    assert (
        Page("page.py", f"def show(model, loss, cause, causes):\n    {body}\n").unproven() == set()
    ) is is_fine
