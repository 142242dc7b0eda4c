"""What the README, and the page on the kernels, say of the tests and of the files is so."""

import re

from tests.nn.torch_peer import CLOSE
from tests.onnx_op.test_against_onnxruntime import ANYTHING
from tests.peers import ROOT
from tests.spec.test_lstm_against_keras import TOLERANCE
from tests.test_mission_programs import BOUND

README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(heading: str, page: str = README) -> list[list[str]]:
    """The cells of the first table under a heading, without its two head lines."""
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_numbers_are_those_the_tests_compare_with():
    said = [[float(cell) for cell in row[1:3]] for row in rows("How equal is equal")]
    outputs, gradients = zip(TOLERANCE["float64"], TOLERANCE["float32"], strict=True)
    assert said == [list(outputs), list(gradients), [BOUND["float64"], BOUND["float32"]]]
    tests = [row[3].strip("`") for row in rows("How equal is equal")]
    assert tests == [
        *["tests/spec/test_lstm_against_keras.py"] * 2,
        "tests/test_mission_programs.py",
    ]


def test_the_numbers_beside_them_are_those_of_the_other_vocabularies():
    eps = 2.0**-52
    numbers = r"held to (\S+) \(outputs\) and (\S+) \(gradients.*?ONNX' operator to (\S+) of"
    said = re.search(numbers, README, re.S)
    assert said is not None
    bounds = [CLOSE["float64"].outputs * eps, CLOSE["float64"].gradients * eps, ANYTHING]
    assert [float(n) for n in said.groups()] == [float(f"{bound:.0e}") for bound in bounds]


def test_the_list_of_files_is_complete_and_true():
    """Every module and folder of the package's top level is named, and whatever is named exists."""
    named = set()
    for row in rows("The files, in reading order"):
        first, *more = re.findall(r"`([\w./]+)`", row[0])
        folder = first.rpartition("/")[0] if not first.endswith("/") else first.rstrip("/")
        named |= {first, *(f"{folder}/{name}" for name in more)}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    package = ROOT / "lstm_ref"
    parts = {f"lstm_ref/{path.stem}" for path in package.glob("*.py") if path.stem[0] != "_"}
    parts |= {f"lstm_ref/{path.parent.name}" for path in package.glob("*/__init__.py")}
    assert {"/".join(re.split(r"[/.]", name)[:2]) for name in named} == parts


def test_every_file_of_the_kernels_is_in_the_list_of_their_page():
    page = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
    kernels = ROOT / "lstm_ref" / "kernels"
    named = set()
    for row in rows("The files, in reading order", page):
        first, *more = re.findall(r"`kernels/([\w./]+)`|`(\w+\.py)`", row[0])
        named |= {first[0], *(name for _, name in more)}
    files = {str(path.relative_to(kernels)) for path in kernels.rglob("*.py")}
    assert named == {name for name in files if not name.endswith("__init__.py")}
