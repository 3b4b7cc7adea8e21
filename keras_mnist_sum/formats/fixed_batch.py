"""Models that take batches of one size alone, as small runtimes need them."""

from collections.abc import Mapping

import numpy as np

from keras_mnist_sum.formats.model_file import Predict
from keras_mnist_sum.formats.model_file import Specs


def any_batch(
    run: Predict, inputs: Specs, outputs: Specs
) -> tuple[Predict, Specs, Specs]:
    """The same model for batches of any size, and what that takes and gives.

    Args:
        run: A model.
        inputs: What it declares to take: of any size, or of one, to which the
            last batch is then filled up with zeros.
        outputs: What it declares to give.
    """
    sizes = {shape[0] if shape else None for shape, _ in inputs.values()}
    size = sizes.pop() if len(sizes) == 1 else None
    if not size:
        return run, inputs, outputs

    def run_all(arrays: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        count = len(next(iter(arrays.values())))
        parts = []
        for start in range(0, max(count, 1), size):
            rows = min(count - start, size)
            filled = {}
            for name, array in arrays.items():
                part = array[start : start + rows]
                rest = np.zeros((size - rows, *array.shape[1:]), array.dtype)
                filled[name] = np.concatenate([part, rest])
            answers = run(filled)
            parts.append({name: x[:rows] for name, x in answers.items()})
        return {
            name: np.concatenate([part[name] for part in parts])
            for name in parts[0]
        }

    return run_all, _free(inputs), _free(outputs)


def _free(specs: Specs) -> Specs:
    return {
        name: (shape and (None, *shape[1:]), dtype)
        for name, (shape, dtype) in specs.items()
    }
