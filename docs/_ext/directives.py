"""The directives of the pages: ``{equation} 4``, ``{drawing} cell`` and ``{vocabularies}``."""

import re

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from _ext import drawings, vocabularies
from _ext.equations import TAG, Excerpt, equation, excerpts
from _ext.mathml import visible_length
from _ext.svg import Drawing

WIDEST_FORMULA, WIDEST_CODE = 36, 52
"""How many letters fit beside a drawing."""
WIDEST_LINE = 50
"""How many letters of a formula fit on a line."""


def svg_node(drawing: Drawing) -> nodes.raw:
    """A drawing, inside the page."""
    return nodes.raw("", f'<div class="figure">{drawing}</div>', format="html")


class EquationDirective(SphinxDirective):
    """An equation by its number: formula, code and drawing side by side.

    The first is from `lstm_ref.conventions`, the second from ``lstm_ref/spec``, and the third lit
    up in its place. A number that one of them lacks ends the build.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The nodes."""
        try:
            number = int(self.arguments[0])
            title = f"EQ {number}: {equation(number).title}"
            direction = drawings.direction(number)
            if direction not in ("forward", *title.split()):
                title += f", {direction}"
            parts = excerpts(number)
            drawing = drawings.for_equation(number)
        except ValueError as error:  # an EquationError, or no number
            raise self.severe(f"{{equation}} {self.arguments[0]}: {error}") from error

        target = nodes.target("", "", ids=[f"eq-{number}"], names=[f"eq-{number}"])
        self.state.document.note_explicit_target(target)
        latex = equation(number).latex
        lines = [latex]
        if visible_length(latex) > WIDEST_LINE:  # then each of its parts has a line of its own
            lines = latex.split(r", \quad ")
        formula = [nodes.math_block("", n, number=None, docname="", label=None) for n in lines]
        code = [node for part in parts for node in self.code(part)]
        longest = max(len(line) for part in parts for line in part.text.splitlines())
        # What is too wide to stand beside the drawing stands above or below both.
        above, beside, below = [], [*formula, *code], []
        if longest > WIDEST_CODE:
            beside, below = formula, code
        if visible_length(latex) > WIDEST_FORMULA:
            above, beside = formula, beside[len(formula) :]

        card = nodes.container("", classes=["equation", direction])
        card += [nodes.paragraph("", title, classes=["equation-title"]), *above]
        shown = nodes.container("", svg_node(drawing), classes=["equation-drawing"])
        if beside:
            words = nodes.container("", *beside, classes=["equation-words"])
            card += [nodes.container("", words, shown, classes=["equation-parts"]), *below]
        else:
            card += [*below, shown]
        return [target, card]

    def code(self, part: Excerpt) -> list[nodes.Node]:
        """The lines, and the name of the function they are from, linked to the reference."""
        name = f"{part.module}.{part.function}"
        link = addnodes.pending_xref(
            "", nodes.literal("", name), refdomain="py", reftype="func", reftarget=name,
            refexplicit=True, refwarn=True, refdoc=self.env.docname,
        )  # fmt: skip
        return [
            nodes.literal_block(part.text, part.text, language="python"),
            nodes.paragraph("", "", link, classes=["equation-source"]),
        ]


class DrawingDirective(Directive):
    """A drawing by its name in `drawings.STANDALONE`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The nodes."""
        name = self.arguments[0]
        if name not in drawings.STANDALONE:
            known = ", ".join(drawings.STANDALONE)
            raise self.severe(f"there is no drawing {name!r}: there are {known}")
        return [svg_node(drawings.STANDALONE[name]())]


class VocabulariesDirective(Directive):
    """The table of the three vocabularies, as `vocabularies.table` finds it."""

    def run(self) -> list[nodes.Node]:
        """The table."""
        heading, rows = vocabularies.table()
        group = nodes.tgroup(cols=len(heading))
        group += [nodes.colspec(colwidth=1) for _ in heading]
        head, body = nodes.thead(), nodes.tbody()
        head += self.row(heading)
        body += [self.row(row) for row in rows]
        group += [head, body]
        table = nodes.table("", group, classes=["vocabularies"])
        return [table]

    def row(self, cells: list[str]) -> nodes.row:
        """One row of text."""
        return nodes.row("", *(nodes.entry("", self.text(cell)) for cell in cells))

    def text(self, cell: str) -> nodes.paragraph:
        """A cell, its arguments and shapes in the letters of code."""
        code = re.compile(r"(\w+=[^,]+|\w+ \[[\w,]+\]|\[[\w,]+\])")
        parts = [
            nodes.literal("", part) if code.fullmatch(part) else nodes.Text(part)
            for part in code.split(cell)
        ]
        return nodes.paragraph("", "", *parts)


def link_equations(lines: list[str]) -> None:
    """In a docstring, make each number of ``[EQ 7-14, 17]`` lead to its equation."""
    for n, line in enumerate(lines):
        lines[n] = TAG.sub(lambda tag: re.sub(r"(\d+)", r":ref:`\1 <eq-\1>`", tag[0]), line)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives, and link the equations in docstrings."""
    app.add_directive("equation", EquationDirective)
    app.add_directive("drawing", DrawingDirective)
    app.add_directive("vocabularies", VocabulariesDirective)
    app.connect("autodoc-process-docstring", lambda *event: link_equations(event[-1]))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
