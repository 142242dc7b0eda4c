"""Sphinx: Markdown pages (MyST), docstrings in Google style, the Furo theme. `make docs` builds."""

import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import lstm_ref

sys.path.insert(0, str(Path(__file__).parent))  # for _ext

project = "lstm_ref"
author = "The lstm_ref authors"
copyright = "2026, The lstm_ref authors"
version = release = lstm_ref.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "_ext.mathml",
    "_ext.directives",
]

exclude_patterns = ["_build"]
default_role = "code"  # `name` in a docstring is a name of the code, not emphasis

# Formulas between dollar signs, aligned equations, notes as ::: blocks.
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_attr_annotations = False  # a field's type stands in the signature

html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["docs.css"]

html_theme = "furo"
html_title = f"lstm_ref {release}"
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}


def setup(app: Sphinx) -> None:
    """Write `Array` for what NumPy's alias expands to: the docstring says the shape."""
    any_ = r"~?(?:typing\.)?Any"
    expanded = re.compile(
        rf"~?(?:numpy\.)?ndarray\[tuple\[{any_}, \.\.\.\], ~?(?:numpy\.)?dtype\[{any_}\]\]"
    )

    def shorten(*event: Any) -> tuple[str | None, str | None]:
        *_, signature, returns = event
        return tuple(text and expanded.sub("Array", text) for text in (signature, returns))

    app.connect("autodoc-process-signature", shorten)
