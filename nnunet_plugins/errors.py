"""The error type for users' mistakes."""


class UserError(ValueError):
    """A mistake the user can fix; the message gives the cause, the value, what is allowed, and the fix."""
