"""The errors that a user sees as one sentence."""


class UserError(Exception):
    """Bad input or a failed target: one sentence with the value, the limit and the way out.

    The command line prints it on standard error and exits with status 2; no traceback.
    """


class ArgumentError(UserError, ValueError):
    """A function was called with an array or a number that it cannot take.

    One sentence with what it was and what is allowed.
    """


class LinkError(UserError):
    """The link to a device failed: a timeout, a closed connection, or an unexpected answer.

    A link raises it rather than return data that did not come from the device.
    """


class SimulationError(Exception):
    """A model could not be built, or a simulator did not start or ended early.

    One sentence with what failed, why, and the way out; the command line prints it unchanged.
    """
