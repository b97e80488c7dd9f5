"""Labels of one structure on the left and on the right side, found by their names."""

from __future__ import annotations

from collections.abc import Iterable

from dataset_conversion.side_words import LEFT_WORDS, side_word, words_of


def side_pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs of names (left, right) that differ only in the side.

    Names that differ in numbers too, such as codes, form a pair if no other name fits.

    >>> side_pairs(["sacrum", "left ilium", "ilium right"])
    [('left ilium', 'ilium right')]
    >>> side_pairs(["hip_left (TS 77)", "hip_right (TS 78)"])
    [('hip_left (TS 77)', 'hip_right (TS 78)')]
    >>> side_pairs(["rib left 1", "rib left 2", "rib right 2", "rib right 3"])
    [('rib left 2', 'rib right 2')]
    """
    sided = [(name, *found) for name in names if (found := _split(name))]
    exact = _matching(sided, numbers=True)
    known = {name for pair in exact for name in pair}
    return [*exact, *(pair for pair in _matching(sided, numbers=False) if not known & set(pair))]


def _matching(
    sided: list[tuple[str, str, tuple[str, ...]]], *, numbers: bool
) -> list[tuple[str, str]]:
    """Return the pairs of names whose other words are equal, with or without numbers."""
    same: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for name, side, words in sided:
        key = words if numbers else tuple(word for word in words if not word.isdigit())
        same.setdefault(key, {"left": [], "right": []})[side].append(name)
    return [(found["left"][0], found["right"][0]) for found in same.values()
            if len(found["left"]) == len(found["right"]) == 1]  # fmt: skip


def _split(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the side of a name and its other words, sorted; None without one side."""
    words = words_of(name)
    sides = {"left" if side in LEFT_WORDS else "right" for w in words if (side := side_word(w))}
    if len(sides) != 1:
        return None
    rest = [word[len(side_word(word)) :] for word in words]
    return sides.pop(), tuple(sorted(word for word in rest if word))
