"""Tab in ``%%fal_app`` and ``%fal`` lines: options, verbs, names of apps. Ours alone, file names do not mix in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fal_jupyter.commands import definitions
from fal_jupyter.commands.definitions import CommandOption, Positional


class Completion:
    """One matcher for IPython; *apps* and *runners* give the names known now, without starting anything."""

    def __init__(self, apps: Callable[[], Iterable[str]], runners: Callable[[], Iterable[str]]) -> None:
        self._apps = apps
        self._runners = runners

    def suggest(self, line: str) -> list[str] | None:
        """Give the words that may stand at the end of *line* (up to the cursor), or ``None`` if it is not our line."""
        words, fragment = _split(line)
        if not words:
            return None
        if words[0] == "%%fal_app":
            return _fitting(
                self._for_options(words[1:], definitions.options_of(definitions.APP_OPTIONS, "notebook")), fragment
            )
        if words[0].removeprefix("%") == "fal" and words[0] != "%%fal":
            return _fitting(self._for_verb(words[1:]), fragment)
        return None

    def _for_verb(self, words: list[str]) -> Iterable[str]:
        verbs = {verb.name: verb for verb in definitions.verbs_of("notebook")}
        if not words:
            return list(verbs)
        verb = verbs.get(words[0])
        if verb is None:
            return []
        options = definitions.options_of(verb.options, "notebook")
        given = _positional(words[1:], options)
        wanted = verb.places[len(given)] if len(given) < len(verb.places) else None
        after = self._for_options(words[1:], options)
        if wanted is None or words[-1] in {o.flag for o in options if o.read is not None}:
            return after
        found = list(self._for_place(wanted, given))
        return found if wanted.what == "value" and found else [*found, *after]

    def _for_place(self, place: Positional, given: list[str]) -> Iterable[str]:
        match place.what:
            case "app":
                return self._apps()
            case "target":
                return [*self._apps(), *self._runners()]
            case "verb":
                return [verb.name for verb in definitions.verbs_of("notebook")]
            case "setting":
                return list(definitions.SETTINGS)
            case "value":
                return definitions.SETTINGS.get(given[0], ()) if given else ()
            case "action":
                return place.words
            case "file" | "text":
                return ()

    @staticmethod
    def _for_options(words: list[str], options: list[CommandOption]) -> Iterable[str]:
        if words and (open_one := next((o for o in options if o.flag == words[-1] and o.read is not None), None)):
            return open_one.choices
        return [option.flag for option in options if option.many or option.flag not in words]

    def matcher(self) -> Any:
        """The matcher to put into ``shell.Completer.custom_matchers``."""
        from IPython.core.completer import SimpleCompletion, context_matcher  # start-up

        def fal_matcher(context: Any) -> Any:
            line = context.line_with_cursor[: context.cursor_position]
            found = self.suggest(line)
            if found is None:
                return {"completions": []}
            return {
                "completions": [SimpleCompletion(text=word, type="option") for word in found],
                "matched_fragment": _split(line)[1],
                "suppress": True,
                "ordered": True,
            }

        return context_matcher()(fal_matcher)


def _split(line: str) -> tuple[list[str], str]:
    """The complete words of a line and the one that is being typed."""
    words = line.lstrip().split()
    if line and not line[-1].isspace() and words:
        return words[:-1], words[-1]
    return words, ""


def _positional(words: list[str], options: list[CommandOption]) -> list[str]:
    takes_value = {option.flag for option in options if option.read is not None}
    return [
        word
        for before, word in zip(["", *words], words, strict=False)
        if not word.startswith("-") and before not in takes_value
    ]


def _fitting(words: Iterable[str], fragment: str) -> list[str]:
    return [word for word in words if word.startswith(fragment)]
