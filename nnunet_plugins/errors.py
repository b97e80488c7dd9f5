"""The error type for users' mistakes."""

import re

_OPTIONS = re.compile(r"(, or|; to merge them,) pass --.*|, or choose the series.*", re.DOTALL)


class UserError(ValueError):
    """A mistake the user can fix; the message gives the cause, the value, what is allowed, and the fix."""


def without_options(error: Exception) -> str:
    """The text of an error on a mask, without the options of `convert` that it ends with.

    >>> without_options(ValueError("m.nii: has fractions: export a label map, or pass --volumes"))
    'm.nii: has fractions: export a label map'
    """
    return _OPTIONS.sub("", str(error))
