"""Runs the code blocks of a Markdown page, so that no page can say what is not so.

What a fence of each language promises:

- ``python``: runs. The blocks of a page share one namespace and one folder, top to bottom.
- ``text`` directly under a ``python`` block: is what that block prints, to the letter. ``...``
  stands for anything. When the block raises, the error is the last line: ``ShapeError: x has ...``.
- ``console``: every line after ``$`` is a command. ``lstm-ref`` runs in the page's folder and must
  end with exit code 0, or with the N of a trailing ``# exit code N``; ``make`` names a target; a
  few more are known by name. The lines under a command are what it prints.
- ``json`` and ``toml``: parse. ``text`` elsewhere is a drawing.

Every other language is a failure, because what is not known would not be checked.
"""

import contextlib
import difflib
import doctest
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# MyST directives: those whose body is Markdown, read on, and those that are no code.
PROSE_DIRECTIVES = {"note", "tip", "hint", "important", "warning", "admonition", "figure", "table"}
OTHER_DIRECTIVES = {"toctree", "math", "eval-rst", "literalinclude", "image", "contents"}

# Commands a page may show that are not run here: the first one needs the network, the others
# happen in the reader's own shell.
SHOWN_COMMANDS = (
    ["git", "clone"],
    ["cd"],
    ["pip", "install"],
    [".venv/bin/python", "-m", "pip", "install"],
    [".venv/bin/pre-commit", "install"],
)

LSTM_REF = (
    "import sys; sys.argv[0] = 'lstm-ref'; from lstm_ref.cli import main; raise SystemExit(main())"
)
LONGEST_COMMAND = 600  # seconds; the demo alone may take 120 on a slower machine


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the page's line on which the text starts."""

    language: str
    text: str
    line: int
    follows: int | None  # index of the block that ends right above this one, blank lines aside


@dataclass(frozen=True)
class Failure:
    """What is wrong, and where."""

    page: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.what}"


class MarkdownError(Exception):
    """A page that cannot be read: (line, what)."""


def blocks(source: str) -> list[Block]:
    """The fenced blocks of a page, in order, those inside notes and lists included.

    Raises:
        MarkdownError: a fence that is never closed, or a ``>>>`` example outside a fence.
    """
    return list(_blocks(source.splitlines(), first_line=1, start=0))


def _blocks(lines: list[str], first_line: int, start: int) -> Iterator[Block]:
    index, above = start, None
    number = 0
    while number < len(lines):
        opening = re.match(r"^(\s*(?:> ?)*\s*)(`{3,}|~{3,})\s*([^`]*)$", lines[number])
        if not opening:
            if re.match(r"^\s*>>> ", lines[number]):
                raise MarkdownError(first_line + number, "a >>> example outside a fence is not run")
            if lines[number].strip():
                above = None
            number += 1
            continue
        indent, fence, info = opening.groups()
        body_at = number + 1
        closing = re.compile(rf"^[\s>]*{re.escape(fence[0])}{{{len(fence)},}}\s*$")
        for end in range(body_at, len(lines)):
            if closing.match(lines[end]):
                break
        else:
            raise MarkdownError(first_line + number, f"the fence {fence}{info} is never closed")
        body = [_dedent(line, indent) for line in lines[body_at:end]]
        directive = re.match(r"^\{([\w:-]+)\}", info)
        if directive and directive[1] in PROSE_DIRECTIVES:
            for block in _blocks(body, first_line + body_at, index):
                yield block
                index += 1
            above = None
        else:
            language = directive[0] if directive else info.strip()
            yield Block(language, "\n".join(body), first_line + body_at, above)
            above = index
            index += 1
        number = end + 1


def _dedent(line: str, indent: str) -> str:
    """`line` without the indentation (and quote marks) that its fence had."""
    if line.startswith(indent):
        return line[len(indent) :]
    return line.lstrip() if indent.isspace() or not indent else line.removeprefix(indent.rstrip())


@dataclass(frozen=True)
class Command:
    """One ``$`` line of a console block, with the lines of output shown under it."""

    words: list[str]
    line: int
    output: list[str]
    exit_code: int


def commands(block: Block) -> list[Command]:
    """The commands of a console block.

    Raises:
        MarkdownError: output without a command, or shell syntax, which is not run here.
    """
    found: list[Command] = []
    lines = iter(enumerate(block.text.splitlines(), start=block.line))
    for number, text in lines:
        if not text.startswith("$ "):
            if not found and text.strip():
                raise MarkdownError(number, "a console block starts with a command, after `$ `")
            if found:
                found[-1].output.append(text)
            continue
        command = text.removeprefix("$ ")
        while command.endswith("\\"):
            command = command[:-1] + next(lines, (0, ""))[1].removeprefix(">").strip()
        code = re.search(r"\s#\s*exit code (\d+)\s*$", command)
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
        if any(set(word) <= set("|&;<>()") for word in words if word):
            raise MarkdownError(
                number, f"shell syntax in {command!r} is not run: one plain command"
            )
        found.append(Command(words, number, [], int(code[1]) if code else 0))
    return found


def differences(expected: str, got: str) -> str:
    """Empty when `got` is `expected`, where ``...`` stands for anything; else the two compared."""
    expected, got = _tidy(expected), _tidy(got)
    flags = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1 | doctest.DONT_ACCEPT_BLANKLINE
    if doctest.OutputChecker().check_output(expected, got, flags):
        return ""
    return "\n".join(
        difflib.unified_diff(
            expected.splitlines(), got.splitlines(), "on the page", "printed", lineterm=""
        )
    )


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()).rstrip() + "\n"


class PageRunner:
    """Runs one page in `folder` and collects what fails."""

    def __init__(self, page: Path, folder: Path, root: Path) -> None:
        self.page, self.folder, self.root = page, folder, root
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.failures: list[Failure] = []

    def run(self) -> list[Failure]:
        """Every failure of the page; the first error in a Python block ends it."""
        try:
            page_blocks = blocks(self.page.read_text(encoding="utf-8"))
        except MarkdownError as error:
            return [Failure(self.page, *error.args)]
        printed_by = {block.follows: block for block in page_blocks if block.language == "text"}
        with contextlib.chdir(self.folder), np.printoptions():
            for index, block in enumerate(page_blocks):
                if not self._run_block(block, printed_by.get(index)):
                    break
                if block.language == "console" and index in printed_by:
                    what = "what a command prints stands under it, in its own block"
                    self._fail(printed_by[index].line, what)
        return self.failures

    def _fail(self, line: int, what: str) -> None:
        self.failures.append(Failure(self.page, line, what))

    def _run_block(self, block: Block, printed: Block | None) -> bool:
        """Run one block; False when the rest of the page makes no sense after it."""
        match block.language:
            case "python":
                return self._python(block, printed)
            case "console":
                try:
                    for command in commands(block):
                        self._command(command)
                except MarkdownError as error:
                    self._fail(*error.args)
            case "json" | "toml" as language:
                try:
                    (json if language == "json" else tomllib).loads(block.text)
                except ValueError as error:
                    self._fail(block.line, f"not {language}: {error}")
            case "text":
                pass
            case language if language.strip("{}") in OTHER_DIRECTIVES and language[0] == "{":
                pass
            case language:
                self._fail(
                    block.line - 1,
                    f"a fence of {language or 'no language'!r} would not be checked: "
                    "use python, console, text, json or toml",
                )
        return True

    def _python(self, block: Block, printed: Block | None) -> bool:
        output, error = io.StringIO(), None
        # Blank lines in front, so that a traceback shows the page's own line.
        source = "\n" * (block.line - 1) + block.text
        with contextlib.redirect_stdout(output):
            try:
                exec(compile(source, self.page, "exec", dont_inherit=True), self.namespace)
            except Exception as raised:
                error = raised
        got = output.getvalue()
        if error is not None and printed is not None:
            got += f"{type(error).__name__}: {error}\n"
        difference = "" if printed is None else differences(printed.text, got)
        if error is not None and (printed is None or difference):
            frames = traceback.extract_tb(error.__traceback__)
            frames = [frame for frame in frames if frame.filename == str(self.page)]
            line = frames[-1].lineno if frames else getattr(error, "lineno", None)
            details = "".join(traceback.format_exception(error)).rstrip()
            self._fail(line or block.line, f"raises {type(error).__name__}: {error}\n{details}")
            return False
        if printed is not None and difference:
            self._fail(printed.line, f"this is not what the block above prints\n{difference}")
        return True

    def _command(self, command: Command) -> None:
        match command.words:
            case ["lstm-ref", *arguments]:
                self._lstm_ref(command, arguments)
            case ["make", *words]:
                self._make(command, [word for word in words if "=" not in word])
            case words if any(words[: len(shown)] == shown for shown in SHOWN_COMMANDS):
                if "install" in words:
                    self._extras_exist(command)
                if any(line.strip() for line in command.output):
                    self._fail(command.line + 1, f"the output of {words[0]!r} is not checked here")
            case words:
                self._fail(command.line, f"{shlex.join(words)!r} is no command that is known here")

    def _make(self, command: Command, targets: list[str]) -> None:
        makefile = (self.root / "Makefile").read_text(encoding="utf-8")
        rules = re.findall(r"^([\w-]+):(?!=)[^\n]*\n((?:\t[^\n]*\n)*)", makefile, flags=re.M)
        recipes = {
            target: [line.strip().lstrip("@") for line in recipe.splitlines()]
            for target, recipe in rules
        }
        for target in targets:
            if target not in recipes:
                self._fail(command.line, f"the Makefile has no target {target!r}")
        if any(line.strip() for line in command.output):
            # What is shown must be checked, and only a recipe of one lstm-ref command can be.
            recipe = recipes.get(targets[0], []) if len(targets) == 1 else []
            match [line.split() for line in recipe]:
                case [["$(BIN)/lstm-ref", *arguments]]:
                    self._lstm_ref(command, arguments)
                case _:
                    self._fail(command.line + 1, "the output of this target is not checked here")

    def _extras_exist(self, command: Command) -> None:
        project = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))
        known = set(project["project"]["optional-dependencies"])
        for extras in re.findall(r"(?:lstm-ref|\.)\[([\w,-]+)\]", " ".join(command.words)):
            for extra in set(extras.split(",")) - known:
                self._fail(command.line, f"pyproject.toml has no extra {extra!r}")

    def _lstm_ref(self, command: Command, arguments: list[str]) -> None:
        paths = [str(self.root), *filter(None, [os.environ.get("PYTHONPATH")])]
        child = subprocess.run(
            [sys.executable, "-P", "-c", LSTM_REF, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "100"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_COMMAND,
            check=False,
        )
        # What goes to stderr while all is well is progress, and differs from run to run.
        got = child.stdout if child.returncode == 0 else child.stdout + child.stderr
        if child.returncode != command.exit_code:
            what = f"exit code {child.returncode}, not {command.exit_code}"
            self._fail(command.line, f"{what}\n{child.stdout}{child.stderr}")
        elif any(line.strip() for line in command.output):
            difference = differences("\n".join(command.output), got)
            if difference:
                self._fail(command.line + 1, f"this is not what it prints\n{difference}")


def report(failures: Iterable[Failure]) -> str:
    """The failures, one below the other."""
    return "\n\n".join(map(str, failures))
