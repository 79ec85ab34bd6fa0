"""``fal-jupyter``: the command line.

Exit status: 0 success, 1 failure (one sentence on standard error), 2 invalid usage. ``doctor FILE.py`` also returns 1 if the app would
fail in the cloud.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from fal_jupyter.cli.terminal import print_message, sentence
from fal_jupyter.commands import parser
from fal_jupyter.domain.errors import BadSetting, FalJupyterError
from fal_jupyter.domain.text.terminal_text import safe_text


def main(argv: Sequence[str] | None = None) -> int:
    """Execute one command line and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parser.parse_command(words, "shell")
    except parser.HelpRequested as request:
        print(str(request).rstrip())
        return 0
    except BadSetting as error:
        return _report(error, 2)
    try:
        if args.command in ("serve", "run"):
            from fal_jupyter.cli import serve

            return serve.run(args)
        if args.command == "gateway":
            from fal_jupyter.cli import gateway

            return gateway.run(args)
        from fal_jupyter.commands import handlers
        from fal_jupyter.commands.command_backend import ShellBackend

        outcome = handlers.execute(args, ShellBackend())
        print(json.dumps(outcome.data) if args.json else safe_text(outcome.text), flush=True)
        return outcome.status
    except FalJupyterError as error:
        return _report(error, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `fal-jupyter logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _report(error: FalJupyterError, status: int) -> int:
    print_message(sentence(error))
    return status


if __name__ == "__main__":
    sys.exit(main())
