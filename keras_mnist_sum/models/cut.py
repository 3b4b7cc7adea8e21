"""A model in two parts: what depends on the image alone, and the rest."""

import keras


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
