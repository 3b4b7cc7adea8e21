import keras
import numpy as np
import pytest

import keras_mnist_sum
from keras_mnist_sum import backbones
from keras_mnist_sum import config as configs
from keras_mnist_sum import heads
from keras_mnist_sum import models
from keras_mnist_sum import pipeline
from keras_mnist_sum import presets
from keras_mnist_sum import task
from keras_mnist_sum.compiling import compile_model
from keras_mnist_sum.config import BACKBONES
from keras_mnist_sum.config import HEADS
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.exporting import export_saved_model
from keras_mnist_sum.exporting import load_saved_model

TINY = dict(width=4, steps=3, batch_size=10)


@pytest.fixture
def inputs(digits):
    return {
        "image": digits[0][:7, ..., np.newaxis].astype("float32"),
        "number": np.eye(10, dtype="float32")[[0, 3, 9, 5, 5, 1, 7]],
    }


def check_contract(config, inputs):
    answers = keras_mnist_sum.build_model(config).predict(inputs, verbose=0)
    outputs = task.outputs(config.difference)
    assert list(answers) == list(outputs)
    for name, output in outputs.items():
        assert answers[name].dtype == np.float32
        if config.head == "regression" and name != "digit":
            assert answers[name].shape == (7, 1)
            continue
        assert answers[name].shape == (7, output.num_classes)
        assert answers[name].min() >= 0
        np.testing.assert_allclose(answers[name].sum(axis=1), 1.0, rtol=1e-5)
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("difference", task.DIFFERENCES)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_head_keeps_the_contract(inputs, head, difference, precision):
    check_contract(
        Config(head=head, difference=difference, precision=precision, **TINY),
        inputs,
    )


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_backbone_keeps_the_contract(inputs, backbone, precision):
    check_contract(
        Config(backbone=backbone, precision=precision, **TINY), inputs
    )


def test_config_names_the_backbones_and_heads_that_exist():
    assert configs.BACKBONES == tuple(backbones.BACKBONES)
    assert configs.HEADS == tuple(heads.HEADS)


# Counted by hand from the layers that each design is described by.
@pytest.mark.parametrize(
    "name, parameters",
    [
        (
            "baseline_classification",
            (9 * 1 * 16 + 16)
            + (9 * 16 * 32 + 32)
            + (9 * 32 * 64 + 64)
            + (9 * 64 * 64 + 64)
            + (9 * 64 * 128 + 128)
            + (9 * 128 * 256 + 256)
            + (9 * 256 * 10 + 10)
            + 20 * 19
            + 20 * 10,
        ),
        (
            "baseline_regression",
            (9 * 1 * 32 + 32)
            + (9 * 32 * 64 + 64)
            + (9 * 64 * 128 + 128)
            + (9 * 128 * 256 + 256)
            + (9 * 256 * 512 + 512)
            + (9 * 512 * 1024 + 1024)
            + (9 * 1024 * 10 + 10)
            + (1 * 16 + 16)
            + (16 * 32 + 32)
            + 2 * ((42 * 64 + 64) + (64 * 128 + 128) + (128 + 1)),
        ),
        # 347,277 as published, with one output less.
        ("hard_argmax", 347_277 + 39 * 10),
    ],
)
def test_designs_of_others_have_their_parameters(name, parameters):
    config = presets.get(name).config
    assert models.build_model(config).count_params() == parameters


def test_plain_weights_start_as_in_pytorch():
    keras.utils.set_random_seed(0)
    config = Config(backbone="plain", width=16, head="regression")
    model = models.build_model(config)
    weighted = [
        layer
        for layer in model.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
    ]
    assert len(weighted) == 7 + 2 + 2 * 3
    for layer in weighted:
        limit = np.prod(layer.kernel.shape[:-1]) ** -0.5
        for weights in layer.get_weights():
            assert np.abs(weights).max() <= limit
        if layer.kernel.shape[-1] > 1:
            assert np.abs(layer.get_weights()[0]).max() > 0.8 * limit
            assert np.abs(layer.get_weights()[1]).max() > 0.5 * limit


def test_images_in_0_1_and_0_255_get_the_same_answers(inputs):
    model = models.build_model(Config(**TINY))
    scaled = {**inputs, "image": inputs["image"] / 255}
    for name, answer in model.predict(inputs, verbose=0).items():
        expected = model.predict(scaled, verbose=0)[name]
        np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_number_may_be_a_distribution(inputs):
    """Half a 3 and half a 5 is the mean of the answers for 3 and for 5."""
    model = models.build_model(Config(head="exact", **TINY))
    one, other = np.eye(10, dtype="float32")[[3, 5]]
    answers = [
        model.predict({**inputs, "number": np.tile(n, (7, 1))}, verbose=0)
        for n in (one, other, (one + other) / 2)
    ]
    for name in answers[0]:
        mean = (answers[0][name] + answers[1][name]) / 2
        np.testing.assert_allclose(answers[2][name], mean, atol=1e-6)


@pytest.mark.parametrize(
    "head, difference",
    [("table", "absolute"), ("exact", "signed"), ("regression", "signed")],
)
def test_saved_reloaded_and_exported_models_agree(
    inputs, digits, head, difference, tmp_path
):
    config = Config(head=head, difference=difference, **TINY)
    model = compile_model(models.build_model(config), config)
    model.fit(
        pipeline.training_dataset(*digits, config), verbose=0, shuffle=False
    )
    expected = model.predict(inputs, verbose=0)

    model.save(tmp_path / "model.keras")
    reloaded = keras_mnist_sum.load_model(tmp_path / "model.keras")
    export_saved_model(model, tmp_path / "saved_model" / "1")
    served, differences = load_saved_model(tmp_path / "saved_model")
    # A value fits either difference.
    either = head == "regression"
    assert differences == (task.DIFFERENCES if either else (difference,))
    for answers in (reloaded.predict(inputs, verbose=0), served(inputs)):
        assert set(answers) == set(expected)
        for name in expected:
            np.testing.assert_allclose(answers[name], expected[name], atol=1e-6)


def test_signature_has_the_names_of_the_contract(tmp_path):
    import tensorflow as tf

    export_saved_model(models.build_model(Config(**TINY)), tmp_path / "1")
    signature = tf.saved_model.load(tmp_path / "1").signatures[
        "serving_default"
    ]
    assert set(signature.structured_input_signature[1]) == {"image", "number"}
    assert set(signature.structured_outputs) == {"digit", "sum", "difference"}


def test_saved_model_is_not_overwritten(tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(InputError, match="not overwritten"):
        export_saved_model(models.build_model(Config(**TINY)), tmp_path / "1")


@pytest.fixture(scope="module")
def trained(digits):
    config = Config(**TINY)
    model = compile_model(models.build_model(config), config)
    model.fit(
        pipeline.training_dataset(*digits, config), verbose=0, shuffle=False
    )
    return config, model


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


def test_each_output_learns_its_own_target(digits):
    """A target moved to another class moves that output's answers alone."""
    config = Config(**{**TINY, "steps": 150, "batch_size": 50})
    model = compile_model(models.build_model(config), config)

    def shifted(inputs, targets):
        return inputs, {**targets, "sum": (targets["sum"] + 1) % 19}

    dataset = pipeline.training_dataset(*digits, config).map(shifted)
    model.fit(dataset, verbose=0, shuffle=False)
    table = keras.ops.convert_to_numpy(model.get_layer("sum").table())
    difference = model.get_layer("difference").table()
    outputs = task.outputs()
    answered = table.argmax(axis=-1)
    assert np.mean(answered == (outputs["sum"].table + 1) % 19) > 0.9
    answered = keras.ops.convert_to_numpy(difference).argmax(axis=-1)
    assert np.mean(answered == outputs["difference"].table) > 0.9


def test_only_kernels_decay():
    config = Config(**TINY)
    model = compile_model(models.build_model(config), config)
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


def test_multiply_adds_are_those_counted_by_hand():
    model = models.build_model(Config(width=4))
    by_hand = (
        24 * 24 * 25 * 1 * 4
        + 2 * 12 * 12 * 9 * 4 * 4
        + 12 * 12 * 9 * 4 * 8
        + 6 * 6 * 9 * 8 * 8
        + 6 * 6 * 9 * 8 * 16
        + 3 * 3 * 9 * 16 * 16
        + 16 * 10
    )
    assert models.count_multiply_adds(model) == by_hand


def test_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    with pytest.raises(InputError, match="No such model file. Received:"):
        models.load_model(path)
    path.write_bytes(b"not a zip file")
    with pytest.raises(InputError, match="Cannot read.*Received:"):
        models.load_model(path)
    models.build_model(Config(**TINY)).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="Cannot read.*Received:"):
        models.load_model(path)


def test_model_with_other_inputs_or_outputs_is_refused(tmp_path):
    image = keras.Input((28, 28, 1), name="image")
    other = keras.layers.Dense(10)(keras.layers.Flatten()(image))
    keras.Model(image, other).save(tmp_path / "other.keras")
    with pytest.raises(InputError, match="must take image.*Received:"):
        models.load_model(tmp_path / "other.keras")
    keras.Model(image, other).export(tmp_path / "other", verbose=False)
    with pytest.raises(InputError, match="must take image.*Received:"):
        load_saved_model(tmp_path / "other")


def test_model_file_cannot_run_code(tmp_path, recwarn):
    """A function hidden in a model file is refused, not executed."""
    trace = tmp_path / "executed"
    program = f"lambda x: open({str(trace)!r}, 'w') and x"
    image = keras.Input((28, 28, 1), name="image")
    spy = keras.layers.Lambda(eval(program), output_shape=(28, 28, 1))
    model = keras.Model(image, spy(image))
    path = tmp_path / "spy.keras"
    model.save(path)
    trace.unlink(missing_ok=True)
    with pytest.raises(InputError, match="Cannot read") as raised:
        models.load_model(path)
    assert "Lambda" in str(raised.value.__cause__)
    assert not trace.exists()
    # The file is dangerous indeed: without the guard, it does run.
    keras.saving.load_model(path, safe_mode=False)(np.zeros((1, 28, 28, 1)))
    assert trace.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"image": keras.Input((28, 28, 1), name="image", dtype="uint8")},
        {"image": keras.Input((28, 28, 1), name="image", batch_size=1)},
        {"number": keras.Input((11,), name="number")},
        {"weight": keras.Input((1,), name="weight")},
    ],
    ids=["type", "batch", "width", "extra"],
)
def test_model_with_inputs_of_another_kind_is_refused(tmp_path, change):
    inputs = {
        "image": keras.Input((28, 28, 1), name="image"),
        "number": keras.Input((10,), name="number"),
        **change,
    }
    flat = keras.layers.Flatten()(keras.ops.cast(inputs["image"], "float32"))
    features = keras.layers.Concatenate()([flat, inputs["number"]])
    answers = {
        name: keras.layers.Dense(output.num_classes, name=name)(features)
        for name, output in task.outputs().items()
    }
    model = keras.Model(inputs, answers)
    model.save(tmp_path / "other.keras")
    with pytest.raises(InputError, match="must take image.*Received:"):
        models.load_model(tmp_path / "other.keras")
    if inputs["image"].shape[0] is None:  # an export frees the batch
        model.export(tmp_path / "other", verbose=False)
        with pytest.raises(InputError, match="must take image.*Received:"):
            load_saved_model(tmp_path / "other")


def test_only_a_learned_table_counts_as_learned():
    learned = models.learned_tables(models.build_model(Config(**TINY)))
    assert {name: t.shape for name, t in learned.items()} == {
        "sum": (10, 10, 19),
        "difference": (10, 10, 10),
    }
    exact = models.build_model(Config(head="exact", **TINY))
    assert models.learned_tables(exact) == {}


@pytest.mark.parametrize("supervise", ["difference", "digit,sum"])
def test_labels_that_are_not_supervised_teach_nothing(digits, supervise):
    """Another label in their place leaves the loss as it was."""
    config = Config(head="exact", supervise=supervise, **TINY)
    model = compile_model(models.build_model(config), config)
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
        used = name in supervise.split(",")
        assert (losses[name] != losses[None]) == used


def trained_model(digits, **changes):
    config = Config(width=4, batch_size=10, **{"steps": 3, **changes})
    model = compile_model(models.build_model(config), config)
    dataset = pipeline.training_dataset(*digits, config)
    model.fit(dataset, verbose=0, shuffle=False)
    return config, model


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


def test_sgd_takes_the_steps_of_the_textbook(digits):
    """Constant rate, momentum, no decay: as written out in NumPy."""
    config = Config(
        width=4,
        batch_size=10,
        steps=3,
        optimizer="sgd",
        learning_rate=0.01,
        beta_1=0.9,
        warmup_fraction=0.0,
        final_rate_fraction=1.0,
        weight_decay=0.0,
    )
    model = compile_model(models.build_model(config), config)
    weight = model.trainable_variables[0]
    value, velocity = np.array(weight), 0.0
    for gradient in (1.0, -2.0, 0.5):
        gradients = [np.full(w.shape, gradient) for w in [weight]]
        others = [np.zeros(w.shape) for w in model.trainable_variables[1:]]
        model.optimizer.apply(
            [keras.ops.cast(g, "float32") for g in gradients + others],
            model.trainable_variables,
        )
        velocity = 0.9 * velocity - 0.01 * gradient
        value = value + velocity
        np.testing.assert_allclose(weight, value, atol=1e-6)
