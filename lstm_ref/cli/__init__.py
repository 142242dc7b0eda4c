"""The command ``lstm-ref``: one verb a job, one file a verb.

Exit codes: 0 fine, 1 checked and differs, 2 bad input. With ``--json`` a verb writes one JSON
document to standard output and nothing else there; progress and errors go to standard error.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence

import lstm_ref
from lstm_ref.cli import demo, inspect, predict, train
from lstm_ref.cli.output import BAD_INPUT, print_json
from lstm_ref.errors import DTypeError, MissingExtraError

VERBS = (demo, train, predict, inspect)

EXIT_CODES = "exit codes: 0 fine, 1 checked and differs, 2 bad input"

INTERRUPTED = 130
"""What shells give for a program that was stopped from the keyboard."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (None: the program's own); gives the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without ° or × shows ? instead
    try:
        args = _parser().parse_args(argv)
    except SystemExit as stop:  # --help, --version, or arguments that cannot be
        return int(stop.code or 0)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has seen enough: `lstm-ref ... | head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 (for the flush at exit)
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except (OSError, ValueError, DTypeError, MissingExtraError) as error:
        sentence = _sentence(error)
        print(f"lstm-ref {args.verb}: {sentence}", file=sys.stderr)
        if args.json:
            print_json({"error": sentence})
        return BAD_INPUT
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lstm-ref",
        description="An LSTM written by hand, equal to Keras at every time step.",
        epilog=f"lstm-ref VERB --help says more. {EXIT_CODES}",
    )
    parser.add_argument("--version", action="version", version=f"lstm-ref {lstm_ref.__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for module in VERBS:
        name = module.__name__.rpartition(".")[2]
        text = module.__doc__ or ""
        verb = verbs.add_parser(
            name,
            help=text.partition(".")[0],
            description=text,
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(verb)
        verb.add_argument("--json", action="store_true", help="one JSON document instead of text")
        verb.set_defaults(run=module.run)
    return parser


def _sentence(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror}"
    return " ".join(str(error).split())
