"""Words for left and right in the names of labels."""

from __future__ import annotations

import re

# Words for left and right in the languages of hospital label lists, to detect sides only.
LEFT_WORDS = frozenset((
    "left", "l", "lt", "sin", "sinister", "sinistra", "li", "links", "linke", "linker", "linkes", "gauche",
    "izquierda", "izquierdo", "sinistro", "sx", "左",
))  # fmt: skip
RIGHT_WORDS = frozenset((
    "right", "r", "rt", "dex", "dexter", "dextra", "re", "rechts", "rechte", "rechter", "rechtes", "droite",
    "droit", "derecha", "derecho", "destra", "destro", "dx", "右",
))  # fmt: skip
_SIDE_WORDS = LEFT_WORDS | RIGHT_WORDS


def has_side(name: str) -> bool:
    """Return whether a label name contains a word for left or right.

    Words end at anything but letters and digits, and at capitals of camelCase.

    >>> has_side("left_ilium"), has_side("iliumRight"), has_side("L5")
    (True, True, False)
    """
    return any(side_word(word) for word in words_of(name))


def words_of(name: str) -> list[str]:
    """Return the words of a label name in lower case; see `has_side`.

    >>> words_of("iliumRight_2")
    ['ilium', 'right', '2']
    """
    apart = re.sub(r"([左右])", r" \1 ", name)
    parts = re.findall(r"[^\W_]+", apart)
    return [word.lower() for part in parts
            for word in re.sub(r"(?<=[a-z])(?=[A-Z])", " ", part).split()]  # fmt: skip


def side_word(word: str) -> str:
    """Return the word for a side in a word of `words_of`; "" if there is none.

    >>> side_word("left2"), side_word("l5")
    ('left', '')
    """
    bare = word.rstrip("0123456789") if len(word) > 3 else word
    return next((found for found in (word, bare) if found in _SIDE_WORDS), "")
