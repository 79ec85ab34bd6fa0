"""Tab completion in ``%%fal_app`` and ``%fal`` lines: options, commands, names of apps; other matchers are suppressed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fal_jupyter.commands import grammar
from fal_jupyter.commands.grammar import CommandOption, Positional
from fal_jupyter.notebook.shell import CompletionContext


class Completion:
    """A matcher for IPython; *apps* and *runners* return the current names without starting a gateway."""

    def __init__(self, apps: Callable[[], Iterable[str]], runners: Callable[[], Iterable[str]]) -> None:
        self._apps = apps
        self._runners = runners

    def suggest(self, line: str) -> list[str] | None:
        """Return the completions at the end of *line* (up to the cursor), or ``None`` for a line of another magic."""
        words, fragment = _split(line)
        if not words:
            return None
        if words[0] == "%%fal_app":
            return _starting_with(
                self._for_options(words[1:], grammar.options_of(grammar.APP_OPTIONS, "notebook")), fragment
            )
        if words[0].removeprefix("%") == "fal" and words[0] != "%%fal":
            return _starting_with(self._for_command(words[1:]), fragment)
        return None

    def _for_command(self, words: list[str]) -> Iterable[str]:
        commands = {command.name: command for command in grammar.commands_of("notebook")}
        if not words:
            return list(commands)
        command = commands.get(words[0])
        if command is None:
            return []
        options = grammar.options_of(command.options, "notebook")
        arguments = _positional(words[1:], options)
        next_positional = command.positionals[len(arguments)] if len(arguments) < len(command.positionals) else None
        options_left = self._for_options(words[1:], options)
        if next_positional is None or words[-1] in {o.flag for o in options if o.read is not None}:
            return options_left
        candidates = list(self._for_positional(next_positional, arguments))
        return candidates if next_positional.what == "value" and candidates else [*candidates, *options_left]

    def _for_positional(self, positional: Positional, arguments: list[str]) -> Iterable[str]:
        match positional.what:
            case "app":
                return self._apps()
            case "target":
                return [*self._apps(), *self._runners()]
            case "command":
                return [command.name for command in grammar.commands_of("notebook")]
            case "setting":
                return list(grammar.SETTINGS)
            case "value":
                return grammar.SETTINGS.get(arguments[0], ()) if arguments else ()
            case "action":
                return positional.words
            case "file" | "text":
                return ()

    @staticmethod
    def _for_options(words: list[str], options: list[CommandOption]) -> Iterable[str]:
        if words and (option_before := next((o for o in options if o.flag == words[-1] and o.read is not None), None)):
            return option_before.choices
        return [option.flag for option in options if option.many or option.flag not in words]

    def matcher(self) -> Callable[..., object]:
        """Return the matcher for ``shell.Completer.custom_matchers``."""
        from IPython.core.completer import SimpleCompletion, context_matcher  # start-up

        def fal_matcher(context: CompletionContext) -> dict[str, object]:
            line = context.line_with_cursor[: context.cursor_position]
            candidates = self.suggest(line)
            if candidates is None:
                return {"completions": []}
            return {
                "completions": [SimpleCompletion(text=word, type="option") for word in candidates],
                "matched_fragment": _split(line)[1],
                "suppress": True,
                "ordered": True,
            }

        matcher: Callable[..., object] = context_matcher()(fal_matcher)
        return matcher


def _split(line: str) -> tuple[list[str], str]:
    """Split a line into its complete words and the one being typed."""
    words = line.lstrip().split()
    if line and not line[-1].isspace() and words:
        return words[:-1], words[-1]
    return words, ""


def _positional(words: list[str], options: list[CommandOption]) -> list[str]:
    takes_value = {option.flag for option in options if option.read is not None}
    return [
        word
        for previous, word in zip(["", *words], words, strict=False)
        if not word.startswith("-") and previous not in takes_value
    ]


def _starting_with(words: Iterable[str], fragment: str) -> list[str]:
    return [word for word in words if word.startswith(fragment)]
