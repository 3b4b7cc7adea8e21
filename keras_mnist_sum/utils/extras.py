"""Packages that not every installation has, and what to do about one.

`pyproject.toml` says which extra brings which.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.shell import quote
from keras_mnist_sum.utils.shell import relative

# By the name that is imported: what it is called, and the extra that brings it.
PACKAGES = {
    "numpy": ("NumPy", ""),
    "PIL": ("Pillow", ""),
    "onnxruntime": ("ONNX Runtime", ""),
    "uvicorn": ("Uvicorn", ""),
    "starlette": ("Starlette", ""),
    "h11": ("h11", ""),
    "tensorflow": ("TensorFlow", "train"),
    "keras": ("Keras", "train"),
    "h5py": ("h5py", "train"),
    "tensorflow_serving": ("tensorflow-serving-api", "train"),
    "tensorflow_datasets": ("tensorflow-datasets", "train"),
    "importlib_resources": ("importlib_resources", "train"),
    "mlxtend": ("mlxtend", "train"),
    "matplotlib": ("Matplotlib", "train"),
    "ai_edge_litert": ("LiteRT", "litert"),
    "onnx": ("onnx", "export"),
    "tf2onnx": ("tf2onnx", "export"),
    "tensorboard": ("TensorBoard", "tensorboard"),
}
_REQUIREMENTS = Path(__file__).parents[2] / "requirements.txt"  # of a clone


class MissingPackageError(InputError, ModuleNotFoundError):
    """Raised where a package is needed that is not installed."""


def missing(what: str, package: str, why: object = "") -> MissingPackageError:
    """The error that says how to install a package.

    Args:
        what: What needs it.
        package: The name that is imported. Of one that is not in `PACKAGES`,
            all are named.
        why: Why it cannot be imported. Default: that there is none.
    """
    package = package.partition(".")[0]
    name, extra = PACKAGES.get(package, ("a package", "all"))
    if _REQUIREMENTS.is_file():
        command = f"pip install -r {relative(_REQUIREMENTS)}"
    else:
        extra = f"[{extra}]" * bool(extra)
        command = f"pip install {quote(f'keras_mnist_sum{extra}')}"
    why = why or f"no module {package!r} in {sys.executable}"
    error = MissingPackageError(
        f"{what} needs {name}: {command}. Received: {why}"
    )
    error.name = package
    return error


def check(package: str, what: str) -> None:
    """Checks that a package is installed, without importing it.

    Args:
        package: The name that is imported.
        what: What needs it.

    Raises:
        MissingPackageError: If it is not.
    """
    if importlib.util.find_spec(package) is None:
        raise missing(what, package)


@contextlib.contextmanager
def needed(what: str) -> Iterator[None]:
    """Runs a block, and says what to install where a package is missing.

    Args:
        what: What needs it.

    Raises:
        MissingPackageError: If one of `PACKAGES` is missing.
    """
    try:
        yield
    except MissingPackageError:
        raise
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PACKAGES:
            raise  # A defect.
        raise missing(what, error.name or "", error) from error
