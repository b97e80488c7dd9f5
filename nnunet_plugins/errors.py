"""The one error that a user is meant to read."""


class UserError(ValueError):
    """A mistake that the user can mend: the message says who, what value, what is allowed, what to do."""
