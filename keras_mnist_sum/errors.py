"""The one exception that means: the input is wrong, not the program."""


class InputError(ValueError):
    """Raised for input that the caller can correct.

    The message is complete in one line and ends in `Received: ...`. Commands
    print it as `error: ...` and exit with code 2, without a traceback; any
    other exception is a defect and keeps its traceback.
    """
