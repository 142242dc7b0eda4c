"""What the project says of itself in several places is the same in all of them."""

import ast
import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import lstm_ref
from tests.peers import ROOT

PACKAGE = Path(lstm_ref.__file__).resolve().parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def package_of(requirement: str) -> str:
    """`numpy>=2.1` -> `numpy`"""
    return re.match(r"[\w-]+", requirement)[0]


def test_the_version_has_its_section_in_the_changelog():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(lstm_ref.__version__)}\]", changelog, flags=re.M)


def test_the_console_script_leads_to_a_function():
    module, _, function = PROJECT["scripts"]["lstm-ref"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_types_are_there_for_others():
    """PEP 561: without the marker a type checker does not read the package's annotations."""
    assert "Typing :: Typed" in PROJECT["classifiers"]
    assert (PACKAGE / "py.typed").is_file()


def test_dev_holds_what_test_docs_and_lint_hold():
    assert "lstm-ref[test,docs,lint]" in EXTRAS["dev"]


def test_every_extra_that_an_error_names_brings_the_package_it_misses():
    """`MissingExtraError("h5py", "keras")` promises that `pip install "lstm-ref[keras]"` helps."""
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="MissingExtraError"),
                    args=[ast.Constant(value=package), ast.Constant(value=extra)],
                ):
                    brought = {package_of(requirement) for requirement in EXTRAS.get(extra, ())}
                    if package not in brought:
                        wrong.append(f"{path.name}:{node.lineno}: {extra!r} brings no {package!r}")
    assert wrong == []


def test_ci_is_a_program_that_bash_can_read():
    program = ROOT / ".ci" / "run"
    assert program.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", program], check=False).returncode == 0


def test_make_help_names_every_target_a_person_types():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (\w+)$", makefile, flags=re.M))
    help_ = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert phony == set(re.findall(r"^ +make (\w+) ", help_.stdout, flags=re.M))
    assert phony >= {"demo", "test", "lint", "docs", "bench", "clean", "help"}
