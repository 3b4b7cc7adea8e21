"""Calling ONNX and LiteRT files, without TensorFlow: ready in a moment.

Both formats are data: neither runtime executes code from a file. What they
don't limit is the memory and the time that a file made to do harm asks for.
"""

import contextlib
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import contract
from keras_mnist_sum.formats.contract import Predict
from keras_mnist_sum.utils.quiet import silence

_LARGEST_FILE = 2**30  # bytes


def load_onnx(path: str | Path) -> tuple[Predict, tuple[str, ...]]:
    """Loads an ONNX file into ONNX Runtime, on the CPU.

    Args:
        path: The file. It must hold its weights itself.

    Returns:
        `(predict, differences)`: a function from `image` and `number` to the
        outputs by name, which threads may share, and the differences that it
        may compute (`contract.check_contract`).

    Raises:
        InputError: If it is missing, damaged or another kind of model, or
            ONNX Runtime is not installed.
    """
    with _reading(path, "ONNX") as content:
        import onnxruntime

        # The key of a reference to weights in another file: ONNX Runtime would
        # look for that in the working directory.
        if b"location" in content:
            raise ValueError("its weights are in another file")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1  # Callers have threads of their own.
        session = onnxruntime.InferenceSession(
            content,
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # It would print, and try the same again.
        )
        names = [output.name for output in session.get_outputs()]

        def run(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return dict(zip(names, session.run(names, arrays)))

        inputs, outputs = (
            {x.name: (_shape(x.shape), _ONNX_TYPES.get(x.type)) for x in side}
            for side in (session.get_inputs(), session.get_outputs())
        )
        return contract.checked(run, inputs, outputs, str(path))


def load_litert(path: str | Path) -> tuple[Predict, tuple[str, ...]]:
    """Loads a LiteRT file (`.tflite`) into its interpreter, on the CPU.

    Args:
        path: The file, with one signature, `serving_default`.

    Returns:
        As `load_onnx`; threads that share the function wait for each other.

    Raises:
        InputError: If it is missing, damaged or another kind of model, or
            LiteRT is not installed.
    """
    with _reading(path, "LiteRT") as content:
        from ai_edge_litert.interpreter import Interpreter

        if content[4:8] != b"TFL3":
            raise ValueError("it is no LiteRT file")
        interpreter = Interpreter(model_content=content)
        runner = interpreter.get_signature_runner("serving_default")
        lock = threading.Lock()

        def run(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            with lock:
                return runner(**arrays)

        inputs, outputs = (
            {
                name: (_shape(x["shape_signature"]), x["dtype"].__name__)
                for name, x in side.items()
            }
            for side in (
                runner.get_input_details(),
                runner.get_output_details(),
            )
        )
        return contract.checked(run, inputs, outputs, str(path))


# By what a file's name ends in.
_LOADERS = {".onnx": load_onnx, ".tflite": load_litert}


def loader(path: Path) -> Callable | None:
    """What loads the file at `path`, if it is one of these by its name."""
    return _LOADERS.get(path.suffix.lower()) if path.is_file() else None


_ONNX_TYPES = {"tensor(float)": "float32"}


@contextlib.contextmanager
def _reading(path: str | Path, kind: str) -> Iterator[bytes]:
    """Yields the file's content to a block that fails if it is not `kind`."""
    try:
        with silence():
            if Path(path).stat().st_size > _LARGEST_FILE:
                raise ValueError("it is too large")
            yield Path(path).read_bytes()
    except InputError:
        raise
    except ImportError as error:
        raise InputError(
            f"A package is missing to run {kind} models: pip install it, as "
            "requirements.txt does. "
            f"Received: {str(path)!r} ({error})"
        ) from error
    except Exception as error:
        # A damaged file surfaces as any of a dozen exceptions.
        why = str(error) if type(error) is ValueError else type(error).__name__
        raise InputError(
            f"Cannot read this as a model for {kind}. "
            f"Received: {str(path)!r} ({why})"
        ) from error


def _shape(sizes: list) -> tuple[int | None, ...]:
    """A shape with `None` for each size that is free: named, or -1."""
    return tuple(
        int(size) if isinstance(size, int | np.integer) and size >= 0 else None
        for size in sizes
    )
