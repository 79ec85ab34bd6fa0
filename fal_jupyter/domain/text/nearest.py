"""Suggests the intended word from a list."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, candidates: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return the most similar of *candidates* to *word*, or ``""``.

    Case, hyphens, underscores and spaces do not count. *cutoff* is that of ``difflib.get_close_matches``.
    """
    folded: dict[str, str] = {}
    for candidate in candidates:
        folded.setdefault(_folded(candidate), candidate)
    plain = _folded(word)
    if plain in folded:
        return folded[plain] if folded[plain] != word else ""
    import difflib  # start-up

    near = difflib.get_close_matches(plain, folded, n=1, cutoff=cutoff)
    return folded[near[0]] if near else ""


def hint_for(word: object, candidates: Iterable[str], otherwise: str | None = None, *, cutoff: float = 0.6) -> str:
    """Return ``did you mean …?``, or *otherwise*, or the full list if that is None."""
    listed = list(candidates)
    near = nearest(word, listed, cutoff=cutoff) if isinstance(word, str) else ""
    if near:
        return f"did you mean {near}?"
    return f"there are: {', '.join(listed)}" if otherwise is None else otherwise


def _folded(word: str) -> str:
    return word.casefold().replace("-", "").replace("_", "").replace(" ", "")
