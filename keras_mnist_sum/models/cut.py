"""A model in two parts: what depends on the image alone, and the rest."""

import keras
from keras import ops

from keras_mnist_sum.models.layers import Tensor
from keras_mnist_sum.models.xla import without_xla
from keras_mnist_sum.task import NUM_DIGITS


class AllNumbers(keras.Model):
    """A model that answers for each number 0-9, and computes what depends on
    the image alone once.

    Args:
        model: A functional model, whose layers it shares: give a copy where
            that matters.

    Raises:
        ValueError: If it cannot be cut (`cut_at_number`).

    Input: `image`, float tensor of shape `(batch, 28, 28, 1)`.
    Output: a dict of the outputs, each of shape `(batch, 10, classes)`.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__(autocast=False)  # Its parts know their types.
        self.names = list(model.output)
        self.first, self.second = cut_at_number(model)
        without_xla(self)

    def call(self, image: Tensor, training: bool = False) -> dict[str, Tensor]:
        def for_each_number(x: Tensor) -> Tensor:
            return ops.repeat(x, NUM_DIGITS, axis=0)

        count = ops.shape(image)[0]
        number = ops.tile(ops.eye(NUM_DIGITS, dtype="float32"), (count, 1))
        of_image = self.first(image, training=training)
        rows = [for_each_number(x) for x in of_image["cut"]]
        answers = {
            **{n: for_each_number(x) for n, x in of_image["outputs"].items()},
            **self.second([*rows, number], training=training),
        }
        return {
            name: ops.reshape(
                answers[name], (count, NUM_DIGITS, answers[name].shape[-1])
            )
            for name in self.names
        }


def cut_at_number(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Cuts a functional model where the number first meets what follows from
    the image.

    Both parts are made of the layers of `model` itself: give a copy where that
    matters.

    Returns:
        The first part takes the image and gives a dict: `cut`, the tensors that
        meet the number, and `outputs`, those that do not depend on it. The
        second takes a list of those tensors and the number, and gives the other
        outputs.

    Raises:
        ValueError: If it cannot be cut so: it shares a layer between both
            parts, say.
    """
    number = model.input["number"]
    depends, cut = {id(number)}, {}
    for operation in model.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        inputs = keras.tree.flatten(operation.input)
        if any(id(x) in depends for x in inputs):
            depends.update(id(x) for x in keras.tree.flatten(operation.output))
            cut.update({id(x): x for x in inputs if id(x) not in depends})
    of_image = {
        name: x for name, x in model.output.items() if id(x) not in depends
    }
    of_both = {name: x for name, x in model.output.items() if id(x) in depends}
    # Keras checks that both are whole graphs.
    first = keras.Model(
        model.input["image"], {"cut": list(cut.values()), "outputs": of_image}
    )
    return first, keras.Model([*cut.values(), number], of_both)
