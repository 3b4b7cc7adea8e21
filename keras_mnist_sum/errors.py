"""The ways in which a command may end early. Anything else is a defect."""

import signal


class InputError(ValueError):
    """Raised for input that the caller can correct.

    The message is complete in one line and ends in `Received: ...`. Commands
    print it as `error: ...` and exit with code 2, without a traceback; any
    other exception is a defect and keeps its traceback.
    """


class DivergedError(ArithmeticError):
    """Raised when a loss or a weight is no longer a finite number.

    As for `InputError`, the message is complete in one line. Exit code 3.
    """


class WorkerLostError(RuntimeError):
    """Raised when another process of a run across machines has ended.

    As for `InputError`, the message is complete in one line. Exit code 4.
    """


class Stopped(KeyboardInterrupt):
    """Raised where a run has obeyed a signal that ends it, with nothing lost.

    Exit code: 128 + `signum`, as a shell counts it.
    """

    def __init__(self, signum: int, message: str):
        super().__init__(message)
        self.signum = signum

    def __str__(self) -> str:
        return f"{signal.Signals(self.signum).name}: {self.args[0]}"
