"""SavedModel: writing one for serving, and calling one."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import serving
from keras_mnist_sum.formats.contract import Predict
from keras_mnist_sum.formats.contract import checked
from keras_mnist_sum.utils.atomic_files import written_aside
from keras_mnist_sum.utils.quiet import system_errors


def export_saved_model(model: keras.Model, path: str | Path) -> None:
    """Writes `model` as a SavedModel, whole or not at all.

    `serving.signatures` says what its signatures take and give.

    Args:
        model: A model as `build_model` makes it, in float32.
        path: The version folder to write, as TF Serving expects it:
            `.../saved_model/1`. It must not exist yet.

    Raises:
        InputError: If it cannot be written there.
    """
    path = Path(path)
    if path.exists():
        raise InputError(
            f"A SavedModel is not overwritten. Received: {str(path)!r}"
        )
    with written_aside(path) as aside, system_errors():
        # Keras's own `export` writes all weights twice.
        module = tf.Module()
        module.weights = [weight.value for weight in model.weights]
        tf.saved_model.save(module, aside, serving.signatures(model))
        serving.write_warmup(aside)


def load_saved_model(path: str | Path) -> tuple[Predict, tuple[str, ...]]:
    """Loads a SavedModel and checks that it keeps the model's contract.

    Args:
        path: The folder that holds `saved_model.pb`, or one with numbered
            versions, of which the highest is taken.

    Returns:
        `(predict, differences)`: a function from `image` and `number` to the
        outputs by name, through the signature `serving_default`, and the
        differences that it may compute (`contract.check_contract`).

    Raises:
        InputError: If it is damaged, or another kind of model.
    """
    path = _version_folder(Path(path))
    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_default"]
        inputs = signature.structured_input_signature[1]
        outputs = signature.structured_outputs
    except Exception as error:
        # A damaged folder surfaces as any of a dozen exceptions.
        raise InputError(
            "Cannot read this as a SavedModel with a signature "
            f"serving_default. Received: {str(path)!r} "
            f"({type(error).__name__})"
        ) from error

    def run(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        # `loaded` stays referenced: the signature does not own its weights.
        named = {name: tf.constant(array) for name, array in arrays.items()}
        answers = loaded.signatures["serving_default"](**named)
        return {name: tensor.numpy() for name, tensor in answers.items()}

    return checked(run, _specs(inputs), _specs(outputs), str(path))


def _specs(tensors: dict) -> dict:
    return {
        name: (
            None if x.shape.rank is None else tuple(x.shape.as_list()),
            x.dtype.name,
        )
        for name, x in tensors.items()
    }


def is_saved_model(path: Path) -> bool:
    """Whether `path` looks like what `load_saved_model` takes."""
    return (_version_folder(path) / "saved_model.pb").is_file()


def _version_folder(path: Path) -> Path:
    if (path / "saved_model.pb").is_file() or not path.is_dir():
        return path
    versions = [
        child
        for child in path.iterdir()
        if child.name.isdigit() and (child / "saved_model.pb").is_file()
    ]
    return max(versions, key=lambda child: int(child.name), default=path)
