"""Fonts for pictures with text in any script: matplotlib's own has no Chinese, Japanese and Korean characters."""

from __future__ import annotations

from collections.abc import Iterable

_DEFAULT = "DejaVu Sans"
#: Fonts of operating systems with these characters, the most complete ones first.
_WIDE = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "Hiragino Sans",
    "Yu Gothic", "Malgun Gothic", "SimHei", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Arial Unicode MS",
    "Droid Sans Fallback",
)  # fmt: skip


def families(texts: Iterable[str]) -> list[str]:
    """Font families that together have the characters of the texts, as far as they are installed.

    >>> families(["sacrum", "Hüfte"])
    ['DejaVu Sans']
    """
    if all(ord(sign) < 0x0600 for text in texts for sign in text):
        return [_DEFAULT]
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    return [_DEFAULT, *(name for name in _WIDE if name in installed)]
