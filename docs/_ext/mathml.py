"""Formulas as MathML, made when the pages are built: readable without a network or a script.

docutils translates LaTeX to MathML, which today's browsers and screen readers know. What it lacks
of the little that is used here is added.
"""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator

STAND_INS = {
    "+": (r"\mapsto ", "\N{RIGHTWARDS ARROW FROM BAR}"),
    "-": (r"\hookrightarrow ", "\N{RIGHTWARDS ARROW WITH HOOK}"),
}
"""What stands for += and -= on its way through docutils, which has no \\mathrel, as LaTeX and as
MathML. Used for nothing else."""


def to_mathml(latex: str, as_block: bool) -> str:
    """One formula.

    Raises:
        ExtensionError: LaTeX that docutils cannot translate.
    """
    known = latex
    for sign, (stand_in, _) in STAND_INS.items():
        known = known.replace(rf"\mathrel{{{sign}}}=", stand_in)
    known = re.sub(r"\\textstyle(\\\w+_\w)", r"{\\textstyle\1}", known)  # docutils wants a group
    try:
        mathml = tex2mathml(known, as_block=as_block)
    except MathError as error:
        raise ExtensionError(f"the formula {latex!r} cannot be translated: {error}") from error
    for sign, (_, stand_in) in STAND_INS.items():
        shown = sign.replace("-", "\N{MINUS SIGN}")
        mathml = re.sub(rf"<mo>\s*{stand_in}\s*</mo>", f"<mo>{shown}=</mo>", mathml)
    return re.sub(r"<mo>\s*'\s*</mo>", '<mo lspace="0" rspace="0">\N{PRIME}</mo>', mathml)


def visible_length(latex: str) -> int:
    """About how many letters wide a formula is."""
    return len(re.sub(r"<[^>]*>|\s", "", to_mathml(latex, as_block=True)))


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    self.body.append(to_mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(to_mathml(node.astext(), as_block=True))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Make this the way formulas are written; chosen by ``html_math_renderer = "mathml"``."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
