"""The documentation is run: every code block of every page, and every example in a docstring."""

import doctest
import importlib
import inspect
import random
import re
from pathlib import Path

import numpy as np
import pytest

import lstm_ref
from lstm_ref.layers import session
from tests.markdown_blocks import PageRunner, report
from tests.peers import ROOT

PACKAGE = Path(lstm_ref.__file__).resolve().parent

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("benchmarks/*.md")),
    *sorted(page for page in ROOT.glob("docs/**/*.md") if "_build" not in page.parts),
]


def test_the_pages_are_found():
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {"README.md", "CONTRIBUTING.md", "docs/index.md", "docs/api.md"} <= names


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_the_page_runs_and_prints_what_it_says(page, tmp_path, monkeypatch):
    # As in a reader's new process, nothing is seeded: a page that needs a seed must set it.
    monkeypatch.setattr(session, "_session", session._Session())
    random.seed()
    np.random.seed()
    failures = PageRunner(page, tmp_path, ROOT).run()
    assert not failures, "\n" + report(failures)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    """Sphinx checks this for docs/; the pages beside it are read on their own."""
    text = re.sub(r"^(`{3,}).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    here = [t.partition("#")[0] for t in targets if not re.match(r"\w+:|#", t)]
    assert [target for target in here if not (page.parent / target).exists()] == []


def test_every_example_in_a_docstring_prints_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), flags=re.M):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            module = ".".join(parts).removesuffix(".__init__")
            result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
            failed += [module] * result.failed
    assert failed == []  # doctest has printed where and how


def test_every_public_name_is_in_the_reference():
    api = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    directive = r"^\.\. auto(?:function|class|exception):: lstm_ref\.(?:\w+\.)*(\w+)$"
    documented = set(re.findall(directive, api, flags=re.M))
    for module in re.findall(r"^\.\. automodule:: (\S+)\n   :members:", api, flags=re.M):
        documented |= set(getattr(importlib.import_module(module), "__all__", ()))
    for name in lstm_ref.__all__:
        if inspect.ismodule(getattr(lstm_ref, name)):
            assert f"`lstm_ref.{name}" in api, f"the module lstm_ref.{name} is not in docs/api.md"
        else:
            assert name in documented, f"lstm_ref.{name} is not in docs/api.md"


# ----- the runner itself, on small pages -----


def run(tmp_path: Path, source: str) -> list[str]:
    """The failures of a page, as `line: first line of the sentence`."""
    page = tmp_path / "page.md"
    page.write_text(source, encoding="utf-8")
    (tmp_path / "folder").mkdir()
    failures = PageRunner(page, tmp_path / "folder", ROOT).run()
    assert all(str(failure).startswith(f"{page}:") for failure in failures)
    return [f"{failure.line}: {failure.what.splitlines()[0]}" for failure in failures]


def fenced(*pairs: tuple[str, str]) -> str:
    """A page of fences, ``(language, text)``, one right under the other."""
    return "\n".join(f"```{language}\n{text}\n```\n" for language, text in pairs)


@pytest.mark.parametrize(
    "source",
    [
        fenced(("python", "print('a  ')\nprint()\nprint('b')"), ("text", "a\n\nb")),
        fenced(("python", "n = 1"), ("python", "print(n + 1)"), ("text", "2")),
        fenced(("python", "print(0.123456, 'x')"), ("text", "0.12... x")),
        fenced(("python", "raise ValueError('no')"), ("text", "ValueError: no")),
        fenced(("python", "print(1)\nraise ValueError('n')"), ("text", "1\nValueError: n")),
        fenced(("text", "a drawing")) + fenced(("python", "print('not compared')")),
        fenced(("python", "print(1)")) + "Said in words.\n" + fenced(("text", "any drawing")),
        fenced(("python", "from pathlib import Path\nPath('left.txt').write_text('x')\n")),
        fenced(("json", '{"a": 1}'), ("toml", "a = 1"), ("{math}", r"\frac{1}{2}")),
        fenced(("console", "$ make test\n$ make demo PYTHON=python3.12\n$ cd lstm_ref")),
        fenced(("console", '$ pip install "lstm-ref[plot,keras]"\n$ git clone ADDRESS')),
        "- a list\n\n  ```python\n  if True:\n      print(1)\n  ```\n\n  ```text\n  1\n  ```\n",
        "````{note}\n```python\nn = 3\n```\n````\n" + fenced(("python", "print(n)"), ("text", "3")),
        "~~~python\nprint('```')\n~~~\n~~~text\n```\n~~~\n",
    ],
)
def test_a_good_page_has_no_failure(tmp_path, source):
    assert run(tmp_path, source) == []


@pytest.mark.parametrize(
    ("source", "failure"),
    [
        (fenced(("python", "print(1)"), ("text", "2")), "6: this is not what the block above"),
        (fenced(("python", "print(True)"), ("text", "1")), "6: this is not what the block above"),
        (fenced(("python", "print(1)"), ("text", "1\n2")), "6: this is not what the block above"),
        (fenced(("python", "n = 1"), ("text", "1")), "6: this is not what the block above"),
        (fenced(("python", "print(1)\nprint(2)"), ("text", "1")), "7: this is not what"),
        (fenced(("python", "a = 1\n\nb = a / 0")), "4: raises ZeroDivisionError: division by zero"),
        (fenced(("python", "raise ValueError('a')"), ("text", "ValueError: b")), "2: raises"),
        (fenced(("python", "a = = 1")), "2: raises SyntaxError"),
        (fenced(("python", "import warnings\nwarnings.warn('old')")), "3: raises UserWarning: old"),
        (fenced(("console", "$ cd a"), ("text", "b")), "6: what a command prints stands under it"),
        (fenced(("json", "{a: 1}")), "2: not json"),
        (fenced(("toml", "a: 1")), "2: not toml"),
        (fenced(("", "x = 1")), "1: a fence of 'no language' would not be checked"),
        (fenced(("py", "x = 1")), "1: a fence of 'py' would not be checked"),
        (fenced(("bash", "rm -rf /")), "1: a fence of 'bash' would not be checked"),
        (fenced(("{code-block} python", "1 / 0")), "1: a fence of '{code-block}' would not"),
        ("text\n>>> 1 / 0\n", "2: a >>> example outside a fence is not run"),
        ("```python\nx = 1\n", "1: the fence ```python is never closed"),
        ("````{note}\n\n```python\n1 / 0\n```\n````\n", "4: raises ZeroDivisionError"),
        ("1. x\n\n   ```python\n   1 / 0\n   ```\n", "4: raises ZeroDivisionError"),
        ("> ```python\n> 1 / 0\n> ```\n", "2: raises ZeroDivisionError"),
        (fenced(("console", "lstm-ref demo")), "2: a console block starts with a command"),
        (fenced(("console", "$ make test\n$ make tea")), "3: the Makefile has no target 'tea'"),
        (fenced(("console", "$ make lint\nAll checks passed!")), "3: the output of this target"),
        (fenced(("console", "$ rm -rf /")), "2: 'rm -rf /' is no command that is known here"),
        (fenced(("console", "$ cd a\nb")), "3: the output of 'cd' is not checked here"),
        (fenced(("console", "$ pip install 'lstm-ref[all]'")), "2: pyproject.toml has no extra"),
        (fenced(("console", "$ pip install '.[plot,all]'")), "2: pyproject.toml has no extra"),
        (fenced(("console", "$ lstm-ref inspect a | head")), "2: shell syntax in"),
        (fenced(("console", "$ lstm-ref inspect a > b")), "2: shell syntax in"),
        (fenced(("console", "$ lstm-ref inspect a && echo")), "2: shell syntax in"),
        (fenced(("console", "$ lstm-ref no-such-verb")), "2: exit code 2, not 0"),
        (fenced(("console", "$ lstm-ref --help  # exit code 1")), "2: exit code 0, not 1"),
        (fenced(("console", "$ lstm-ref --help\nnonsense")), "3: this is not what it prints"),
    ],
)
def test_a_wrong_page_fails_at_its_line(tmp_path, source, failure):
    (found,) = run(tmp_path, source)
    assert found.startswith(failure)


def test_a_command_runs_in_the_folder_of_the_page(tmp_path):
    source = fenced(
        ("python", "from pathlib import Path\nPath('m.npz').write_bytes(b'not a model')"),
        ("console", "$ lstm-ref inspect \\\n>   m.npz  # exit code 2\n...m.npz..."),
        ("console", "$ lstm-ref --help\nusage: lstm-ref ...\n$ lstm-ref --help\nusage..."),
    )
    assert run(tmp_path, source) == []


def test_pages_do_not_share_names_or_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = fenced(("python", "n = 1\nopen('f', 'w').close()"))
    second = fenced(
        ("python", "import os\nprint('n' in globals(), os.listdir())"), ("text", "False []")
    )
    assert run(tmp_path / "a", first) == []
    assert run(tmp_path / "b", second) == []
