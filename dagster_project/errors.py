"""The one error type whose message is meant for the person running Throughline."""


class ThroughlineError(Exception):
    """A user's mistake or a broken surrounding, told in one sentence.

    The message says what is wrong, where, and how to mend it; the command line and the
    Dagster UI show it without a traceback around it.
    """
