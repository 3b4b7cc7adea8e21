"""Objects that live in processes of their own."""

import importlib
import multiprocessing
import os
from collections.abc import Mapping
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any
from typing import Self


class Worker:
    """A process with an object, whose methods are called from here.

    Args:
        place: Where its class is: `"module:Class"`. Modules are imported there.
        *arguments: What the class is called with.
        cores: Those that it may use. Default: all.
        variables: Of its environment, beside those of this process.
    """

    def __init__(
        self,
        place: str,
        *arguments: Any,
        cores: Sequence[int] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.connection, there = spawn.Pipe()
        what = (there, place, arguments, cores, variables or {})
        self.process = spawn.Process(target=_work, args=what, daemon=True)
        self.process.start()
        there.close()  # So that its end is noticed here.

    def send(self, method: str, *arguments: Any) -> None:
        self.connection.send((method, arguments))

    def receive(self) -> Any:
        """What the method returned.

        Raises:
            EOFError: If the process has ended.
        """
        return self.connection.recv()

    def ask(self, method: str, *arguments: Any) -> Any:
        self.send(method, *arguments)
        return self.receive()

    def close(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _work(
    connection: Connection,
    place: str,
    arguments: tuple,
    cores: Sequence[int],
    variables: Mapping[str, str],
) -> None:
    if cores:
        os.sched_setaffinity(0, cores)
    os.environ.update(variables)
    module, _, name = place.partition(":")
    from keras_mnist_sum.utils.quiet import import_tensorflow

    import_tensorflow()
    made = getattr(importlib.import_module(module), name)(*arguments)
    while True:
        method, values = connection.recv()
        connection.send(getattr(made, method)(*values))
