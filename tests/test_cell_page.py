"""The page of equations: every number once, its code from the source, its picture of the page."""

import re
import sys
from dataclasses import replace

import pytest

from lstm_ref.conventions import EQUATIONS
from tests.peers import ROOT

sys.path.append(str(ROOT / "docs"))

from _ext import drawings, equations

PAGE = (ROOT / "docs" / "cell.md").read_text(encoding="utf-8")


def test_every_equation_stands_on_the_page_once_and_in_order():
    assert [int(n) for n in re.findall(r"^:::\{equation\} (\d+)$", PAGE, re.M)] == list(EQUATIONS)


def test_every_mention_on_the_pages_is_of_an_equation_there_is():
    """``[EQ 7](#eq-7)``: the words and the link say the same number, and it exists."""
    for page in ROOT.glob("docs/*.md"):
        text = page.read_text(encoding="utf-8")
        for shown, number in re.findall(r"\[(?:EQ )?(\d+)\]\([\w.]*#eq-(\d+)\)", text):
            assert shown == number, page.name
            assert int(number) in EQUATIONS, page.name
        assert text.count("#eq-") == len(re.findall(r"\d\]\([\w.]*#eq-\d+\)", text)), page.name


def test_every_tagged_line_of_the_specification_is_shown():
    """Nothing is lost between the source and the page: each tagged line is in an excerpt."""
    for path in sorted(equations.SPEC.glob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if tag := equations.TAG.search(line.partition("#")[2]):
                code = line.partition("#")[0].strip()
                for number in equations.numbers(tag[1]):
                    shown = [part.text for part in equations.excerpts(number)]
                    assert any(code in text for text in shown), (number, code)


@pytest.mark.parametrize("number", EQUATIONS)
def test_an_excerpt_is_the_source_without_its_tags(number):
    for part in equations.excerpts(number):
        source = (equations.SPEC / f"{part.module.rpartition('.')[2]}.py").read_text("utf-8")
        function = source[source.index(f"def {part.function}(") :]
        bare = [re.sub(r"\s*# \[EQ.*", "", line).strip() for line in function.splitlines()]
        for line in part.text.splitlines():
            assert line.strip() in bare
        assert "[EQ" not in part.text


def test_some_excerpts_to_the_letter():
    """A statement; an `if` with its whole body; two; arguments of a call; two functions."""
    texts = {n: [part.text for part in equations.excerpts(n)] for n in (4, 1, 26, 29, 21, 10)}
    assert texts[4] == ["c = f * c_prev + i * g"]
    assert texts[1] == ["z = x_t @ W + h_prev @ U\nif b is not None:\n    z = z + b"]
    assert texts[26] == ["if config.input_forget:\n    f = 1 - i"]
    assert texts[29][0].startswith("if config.input_forget:\n    d_i = d_i - d_f\nif config.")
    assert texts[21] == ["d_h=d_z @ cache.kernel.T,"]
    in_cell, in_gate = texts[10]
    assert in_cell.startswith("d_z_o = through_gate(d_o, σ, z_o, o, config)\nd_z_i = through_gate(")
    assert in_cell.endswith("\nd_z = np.concatenate([d_z_i, d_z_f, d_z_g, d_z_o], axis=-1)")
    assert in_gate == "d_z = d_a * activation_derivative(act, z, a)"


def test_a_number_without_an_equation_is_an_error():
    with pytest.raises(equations.EquationError, match="no equation 99"):
        equations.excerpts(99)


def test_an_equation_without_a_line_of_source_is_an_error(monkeypatch):
    monkeypatch.setitem(EQUATIONS, 99, replace(EQUATIONS[1], title="forgotten"))
    with pytest.raises(equations.EquationError, match=r"tag \[EQ 99\]"):
        equations.excerpts(99)


def test_every_equation_has_its_drawing():
    assert sorted(drawings.FOCUS) == sorted(EQUATIONS)


@pytest.mark.parametrize("number", EQUATIONS)
def test_a_drawing_lights_the_parts_it_names(number):
    """A name with a typing mistake would light nothing."""
    draw, focus = drawings.FOCUS[number]
    plain = str(draw(drawings.EVERYTHING)).count("\n")
    for state in ("on", "back", "used"):
        for part in getattr(focus, state):
            alone = str(draw(drawings.Focus("", **{state: [part]})))
            assert re.search(rf'class="[^"]*\b{state}\b', alone), part
            assert alone.count("\n") == plain, part


@pytest.mark.parametrize("name", drawings.STANDALONE)
def test_a_drawing_is_the_same_every_time_and_says_what_it_shows(name):
    first, second = (str(drawings.STANDALONE[name]()) for _ in range(2))
    assert first == second
    alt = re.search(r'aria-label="([^"]+)"', first)[1]
    assert len(alt) > 40
    assert alt.endswith(".")
