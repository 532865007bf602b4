"""The one exception that a user's mistake or a broken outside world raises."""


class KwsImuError(Exception):
    """
    A problem that the user can act on.

    The message is one clear sentence that says what is wrong, where, and what to do. Command lines
    and nodes print it without a traceback and exit non-zero; no robot moves after it.
    """
