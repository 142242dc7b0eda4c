"""The numbered equations, and the lines of the specification that compute them.

A page names an equation by its number alone. The formula comes from
`lstm_ref.conventions.EQUATIONS`, the code from the statements of ``lstm_ref/spec`` that carry the
tag ``[EQ n]`` in a comment. Nothing is copied by hand, so page and source cannot part.
"""

import ast
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import lstm_ref.spec
from lstm_ref.conventions import EQUATIONS, Equation

SPEC = Path(lstm_ref.spec.__file__).resolve().parent
TAG = re.compile(r"\[EQ ([\d, -]+)\]")


class EquationError(ValueError):
    """A page asks for an equation that is not there, in the table or in the source."""


@dataclass(frozen=True)
class Excerpt:
    """Statements of one function, as they stand there, without the tags."""

    module: str
    """``"lstm_ref.spec.cell"``"""
    function: str
    text: str


def equation(number: int) -> Equation:
    """The name and the formula.

    Raises:
        EquationError: a number that is not in the table.
    """
    try:
        return EQUATIONS[number]
    except KeyError:
        raise EquationError(
            f"there is no equation {number}: the table in lstm_ref/conventions.py has "
            f"{min(EQUATIONS)} to {max(EQUATIONS)}"
        ) from None


def excerpts(number: int) -> list[Excerpt]:
    """The lines of the specification that compute an equation, in the order of the source.

    Raises:
        EquationError: no line of the specification has its tag.
    """
    equation(number)
    found = [e for path in sorted(SPEC.glob("*.py")) for n, e in excerpts_of(path) if n == number]
    if not found:
        raise EquationError(f"no line in lstm_ref/spec has the tag [EQ {number}]")
    return found


@cache
def excerpts_of(path: Path) -> list[tuple[int, Excerpt]]:
    """(number, excerpt) for every equation that a file of the specification computes."""
    source = path.read_text(encoding="utf-8")
    tags = list(_tags(source))
    result = []
    for function in ast.parse(source).body:
        if not isinstance(function, ast.FunctionDef):
            continue
        inside = range(function.lineno, (function.end_lineno or 0) + 1)
        for number in sorted({n for line, n in tags if line in inside}):
            lines = {line for line, n in tags if n == number and line in inside}
            spans = _spans(function, lines)
            text = "\n".join(_cut(source, first, last) for first, last in spans)
            result.append((number, Excerpt(f"lstm_ref.spec.{path.stem}", function.name, text)))
    return result


def _tags(source: str) -> Iterator[tuple[int, int]]:
    """(line, number) for every tag in a comment; a tag in a docstring only talks of it."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and (tag := TAG.search(token.string)):
            yield from ((token.start[0], number) for number in numbers(tag[1]))


def numbers(text: str) -> Iterator[int]:
    """``"7-9, 14"`` as 7, 8, 9, 14."""
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        yield from range(int(first), int(last or first) + 1)


def _spans(function: ast.FunctionDef, tagged: set[int]) -> list[tuple[int, int]]:
    """(first, last) line of each statement, or argument of a call, that is tagged.

    An ``if`` whose whole body is tagged comes along with it: the body alone would say too much.
    """
    units = [n for n in ast.walk(function) if isinstance(n, ast.stmt | ast.keyword)]
    span = {n: (n.lineno, n.end_lineno or n.lineno) for n in units}

    def innermost(line: int) -> ast.AST:
        around = [n for n in units if span[n][0] <= line <= span[n][1]]
        return min(around, key=lambda n: span[n][1] - span[n][0])

    kept = {innermost(line) for line in tagged}
    for node in units:
        if isinstance(node, ast.If) and not node.orelse and kept.issuperset(node.body):
            kept = kept.difference(node.body) | {node}
    return sorted(span[node] for node in kept)


def _cut(source: str, first: int, last: int) -> str:
    """Lines ``first`` to ``last``, dedented, without the tags."""
    lines = source.splitlines()[first - 1 : last]
    return textwrap.dedent("\n".join(re.sub(r"\s*# \[EQ [^\]]*\].*$", "", n) for n in lines))
