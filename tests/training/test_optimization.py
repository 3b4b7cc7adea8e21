import keras
import numpy as np
import pytest

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models import build
from keras_mnist_sum.training import checkpoints
from keras_mnist_sum.training.optimization import compile_model
from tests.fixtures.networks import network

TINY = dict(width=4, steps=3, batch_size=10)
CONSTANT_RATE = dict(
    warmup_fraction=0.0, final_rate_fraction=1.0, weight_decay=0.0
)


def trained_model(digits, **changes):
    config = Config(width=4, batch_size=10, **{"steps": 3, **changes})
    model = compile_model(build.build_model(config), config)
    dataset = pipeline.training_dataset(*digits, config)
    model.fit(dataset, verbose=0, shuffle=False)
    return config, model


@pytest.fixture(scope="module")
def trained(digits):
    return trained_model(digits)


@pytest.mark.parametrize("wrong", ["digit", "sum", "difference"])
def test_wrong_labels_change_that_outputs_loss_and_metric_alone(
    digits, trained, wrong
):
    """digit and difference are both 10 wide: a swap would be silent."""
    config, model = trained
    dataset = pipeline.validation_dataset(*digits, config).unbatch().batch(50)
    inputs, targets = next(dataset.as_numpy_iterator())
    answers = model.predict(inputs, verbose=0)
    # Labels that the model is sure to meet, then to miss, in this output.
    hit = {**targets, wrong: answers[wrong].argmax(axis=1)}
    miss = {**targets, wrong: answers[wrong].argmin(axis=1)}
    before = model.evaluate(inputs, hit, verbose=0, return_dict=True)
    after = model.evaluate(inputs, miss, verbose=0, return_dict=True)
    assert before[f"{wrong}_accuracy"] == 1 and after[f"{wrong}_accuracy"] == 0
    assert after[f"{wrong}_loss"] > before[f"{wrong}_loss"]
    for name in {"digit", "sum", "difference"} - {wrong}:
        for metric in (f"{name}_loss", f"{name}_accuracy"):
            assert before[metric] == after[metric]


def test_rejects_epochs_of_nobody_knows_how_many_steps():
    config = Config(width=4, epochs=2.0)
    model = build.build_model(config)
    with pytest.raises(InputError, match=r"with_steps\(.*Received: epochs=2.0"):
        compile_model(model, config)
    compile_model(model, config.with_steps(60_000))


def test_each_output_learns_its_own_target(digits):
    """A target moved to another class moves that output's answers alone."""
    config = Config(**{**TINY, "steps": 150, "batch_size": 50})
    model = compile_model(build.build_model(config), config)

    def shifted(inputs, targets):
        return inputs, {**targets, "sum": (targets["sum"] + 1) % 19}

    dataset = pipeline.training_dataset(*digits, config).map(shifted)
    model.fit(dataset, verbose=0, shuffle=False)
    table = keras.ops.convert_to_numpy(model.get_layer("sum").table())
    difference = model.get_layer("difference").table()
    outputs = task.Task.named()
    answered = table.argmax(axis=-1)
    assert np.mean(answered == (outputs["sum"].table + 1) % 19) > 0.9
    answered = keras.ops.convert_to_numpy(difference).argmax(axis=-1)
    assert np.mean(answered == outputs["difference"].table) > 0.9


def test_only_kernels_decay():
    config = Config(**TINY)
    model = compile_model(build.build_model(config), config)
    decaying = {
        variable.path
        for variable in model.trainable_variables
        if model.optimizer._use_weight_decay(variable)
    }
    kernels = {
        variable.path
        for variable in model.trainable_variables
        if variable.path.endswith("/kernel")
    }
    assert decaying == kernels and kernels


def test_kernels_of_all_kinds_decay():
    def rows(image):
        x = keras.layers.SeparableConv2D(2, 3)(image)
        return keras.layers.SimpleRNN(3)(keras.layers.Reshape((26, 52))(x))

    model = network(rows)
    optimizer = compile_model(model, Config(**TINY)).optimizer
    decaying = {
        x.name
        for x in model.trainable_variables
        if optimizer._use_weight_decay(x)
    }
    kinds = {"kernel", "depthwise_kernel", "pointwise_kernel"}
    assert decaying == kinds | {"recurrent_kernel"}


@pytest.mark.parametrize("supervise", [("difference",), ("digit", "sum")])
def test_labels_that_are_not_supervised_teach_nothing(digits, supervise):
    """Another label in their place leaves the loss as it was."""
    config = Config(head="exact", supervise=supervise, **TINY)
    model = compile_model(build.build_model(config), config)
    dataset = pipeline.validation_dataset(*digits, config)
    inputs, targets = next(dataset.as_numpy_iterator())
    losses = {}
    for changed in (None, "digit", "sum", "difference"):
        labels = {
            name: (label + 1) % 10 if name == changed else label
            for name, label in targets.items()
        }
        report = model.evaluate(inputs, labels, verbose=0, return_dict=True)
        losses[changed] = report["loss"]
    for name in ("digit", "sum", "difference"):
        used = name in supervise
        assert (losses[name] != losses[None]) == used


@pytest.mark.parametrize("difference", task.DIFFERENCES)
def test_regression_is_trained_and_measured_on_values(digits, difference):
    """Loss, error and accuracy are those of a plain NumPy count."""
    config, model = trained_model(
        digits, head="regression", difference=difference
    )
    dataset = pipeline.validation_dataset(*digits, config)
    [(inputs, targets)] = dataset.as_numpy_iterator()
    report = model.evaluate(
        inputs, targets, batch_size=50, verbose=0, return_dict=True
    )
    answers = model.predict(inputs, verbose=0)
    digit, number = targets["digit"], inputs["number"].argmax(axis=1)
    true = {"sum": digit + number, "difference": digit - number}
    if difference == "absolute":
        true["difference"] = abs(true["difference"])
    for name, values in true.items():
        assert targets[name].shape == (50, 1)
        error = answers[name][:, 0] - values
        np.testing.assert_allclose(
            report[f"{name}_loss"], np.mean(error**2), rtol=1e-5
        )
        np.testing.assert_allclose(
            report[f"{name}_mae"], np.mean(abs(error)), rtol=1e-5
        )
        np.testing.assert_allclose(
            report[f"{name}_accuracy"], np.mean(abs(error) < 0.5), rtol=1e-5
        )


def test_digit_loss_without_logarithm_is_minus_the_probability(digits):
    config, model = trained_model(digits, digit_loss="negative_probability")
    dataset = pipeline.validation_dataset(*digits, config)
    [(inputs, targets)] = dataset.as_numpy_iterator()
    report = model.evaluate(
        inputs, targets, batch_size=50, verbose=0, return_dict=True
    )
    probabilities = model.predict(inputs, verbose=0)["digit"]
    expected = -np.mean(probabilities[np.arange(50), targets["digit"]])
    np.testing.assert_allclose(report["digit_loss"], expected, rtol=1e-5)


def step_of_first_weight(model, gradient):
    """A step of the optimizer in which no other weight has a gradient."""
    first, *others = model.trainable_variables
    model.optimizer.apply(
        [keras.ops.full(first.shape, gradient)]
        + [keras.ops.zeros(weight.shape) for weight in others],
        model.trainable_variables,
    )


def test_sgd_takes_the_steps_of_the_textbook(digits):
    """Constant rate, momentum, no decay: as written out in NumPy."""
    config = Config(
        **TINY,
        **CONSTANT_RATE,
        optimizer="sgd",
        learning_rate=0.01,
        beta_1=0.9,
    )
    model = compile_model(build.build_model(config), config)
    weight = model.trainable_variables[0]
    value, velocity = np.array(weight), 0.0
    for gradient in (1.0, -2.0, 0.5):
        step_of_first_weight(model, gradient)
        velocity = 0.9 * velocity - 0.01 * gradient
        value = value + velocity
        np.testing.assert_allclose(weight, value, atol=1e-6)


def test_adadelta_takes_the_steps_of_its_paper(digits):
    """With PyTorch's epsilon: as written out in NumPy."""
    config = Config(
        **TINY,
        **CONSTANT_RATE,
        optimizer="adadelta",
        learning_rate=1.0,
        beta_2=0.9,
    )
    model = compile_model(build.build_model(config), config)
    weight = model.trainable_variables[0]
    value, square, moved = np.array(weight), 0.0, 0.0
    for gradient in (1e-3, -2e-3, 5e-4):  # small: epsilon matters
        step_of_first_weight(model, gradient)
        square = 0.9 * square + 0.1 * gradient**2
        step = np.sqrt((moved + 1e-6) / (square + 1e-6)) * gradient
        moved = 0.9 * moved + 0.1 * step**2
        value = value - step
        np.testing.assert_allclose(weight, value, rtol=1e-5, atol=1e-7)


def test_float16_trains_with_a_scaled_loss_that_a_checkpoint_holds(
    digits, tmp_path
):
    _, model = trained_model(digits, precision="float16", steps=8)
    scale = model.optimizer.dynamic_scale
    trained = float(scale)
    assert trained > 2**7  # halved where a gradient was not finite
    assert int(model.optimizer.iterations) >= 1
    checkpoints.save(tmp_path, checkpoints.capture(model), 8, {})
    scale.assign(1.0)
    newest = checkpoints.load_newest(tmp_path)
    newest.restore(model, "optimizer")
    assert float(scale) == trained
