import itertools

import keras
import numpy as np
import pytest

import keras_mnist_sum
from keras_mnist_sum import config as configs
from keras_mnist_sum import presets
from keras_mnist_sum import task
from keras_mnist_sum.config import BACKBONES
from keras_mnist_sum.config import HEADS
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import keras_file
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.models import backbones
from keras_mnist_sum.models import build
from keras_mnist_sum.models import heads
from keras_mnist_sum.training.optimization import compile_model

TINY = dict(width=4, steps=3, batch_size=10)


@pytest.fixture
def inputs(digits):
    return {
        "image": digits[0][:7, ..., np.newaxis].astype("float32"),
        "number": np.eye(10, dtype="float32")[[0, 3, 9, 5, 5, 1, 7]],
    }


def check_contract(config, inputs):
    answers = keras_mnist_sum.build_model(config).predict(inputs, verbose=0)
    outputs = config.task
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
    assert tuple(backbones.BACKBONES) == configs.BACKBONES
    assert tuple(heads.HEADS) == configs.HEADS


# Counted by hand from the layers that each design is described by.
def convolutions(*channels):
    return sum(9 * i * o + o for i, o in itertools.pairwise(channels))


def dense(*units):
    return sum(i * o + o for i, o in itertools.pairwise(units))


@pytest.mark.parametrize(
    "name, parameters",
    [
        (
            "baseline_classification",
            convolutions(1, 16, 32, 64, 64, 128, 256, 10) + 20 * 19 + 20 * 10,
        ),
        (
            "baseline_regression",
            convolutions(1, 32, 64, 128, 256, 512, 1024, 10)
            + dense(1, 16, 32)
            + 2 * dense(42, 64, 128, 1),
        ),
        # 347,277 as published, with one output less.
        ("hard_argmax", 347_277 + 39 * 10),
    ],
)
def test_baselines_have_the_parameters_of_their_originals(name, parameters):
    assert presets.get(name).parameters == parameters


@pytest.mark.parametrize("name", presets.PRESETS)
def test_preset_says_how_many_parameters_it_has(name):
    preset = presets.get(name)
    model = build.build_model(preset.config)
    assert model.count_params() == preset.parameters


def test_plain_weights_start_as_in_pytorch():
    keras.utils.set_random_seed(0)
    config = Config(backbone="plain", width=16, head="regression")
    model = build.build_model(config)
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
    model = build.build_model(Config(**TINY))
    scaled = {**inputs, "image": inputs["image"] / 255}
    for name, answer in model.predict(inputs, verbose=0).items():
        expected = model.predict(scaled, verbose=0)[name]
        np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_test_time_augmentation_averages_the_logits_of_five_shifts(inputs):
    inputs["image"][:, [0, -1]] = inputs["image"][:, :, [0, -1]] = 0
    plain = build.build_model(Config(**TINY))
    averaged = build.build_model(Config(test_time_shift=1, **TINY))
    averaged.set_weights(plain.get_weights())
    product = 1.0
    for shift in [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]:
        shifted = np.roll(inputs["image"], shift, (1, 2))
        answers = plain.predict({**inputs, "image": shifted}, verbose=0)
        product = product * answers["digit"] ** 0.2
    expected = product / product.sum(axis=1, keepdims=True)
    found = averaged.predict(inputs, verbose=0)["digit"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_number_may_be_a_distribution(inputs):
    """Half a 3 and half a 5 is the mean of the answers for 3 and for 5."""
    model = build.build_model(Config(head="exact", **TINY))
    one, other = np.eye(10, dtype="float32")[[3, 5]]
    answers = [
        model.predict({**inputs, "number": np.tile(n, (7, 1))}, verbose=0)
        for n in (one, other, (one + other) / 2)
    ]
    for name in answers[0]:
        mean = (answers[0][name] + answers[1][name]) / 2
        np.testing.assert_allclose(answers[2][name], mean, atol=1e-6)


@pytest.mark.parametrize(
    "head, difference, test_time_shift",
    [
        ("table", "absolute", 1),
        ("exact", "signed", 0),
        ("regression", "signed", 0),
    ],
)
def test_saved_reloaded_and_exported_models_agree(
    inputs, digits, head, difference, test_time_shift, tmp_path
):
    config = Config(
        head=head,
        difference=difference,
        test_time_shift=test_time_shift,
        **TINY,
    )
    model = compile_model(build.build_model(config), config)
    model.fit(
        pipeline.training_dataset(*digits, config), verbose=0, shuffle=False
    )
    expected = model.predict(inputs, verbose=0)

    model.save(tmp_path / "model.keras")
    reloaded = keras_mnist_sum.load_model(tmp_path / "model.keras")
    export(model, tmp_path, "saved_model")
    served = open_model(tmp_path / "saved_model")
    assert served.task == build.info_of(reloaded).task == config.task
    for answers in (
        reloaded.predict(inputs, verbose=0),
        served.predict(inputs),
    ):
        assert set(answers) == set(expected)
        for name in expected:
            np.testing.assert_allclose(answers[name], expected[name], atol=1e-6)


def test_signature_has_the_names_of_the_contract(tmp_path):
    import tensorflow as tf

    path = export(
        build.build_model(Config(**TINY)), tmp_path, "saved_model"
    ).path
    signature = tf.saved_model.load(path).signatures["serving_default"]
    assert set(signature.structured_input_signature[1]) == {"image", "number"}
    assert set(signature.structured_outputs) == {"digit", "sum", "difference"}


def test_saved_model_is_not_overwritten(tmp_path):
    (tmp_path / "saved_model" / "1").mkdir(parents=True)
    with pytest.raises(InputError, match="not overwritten"):
        export(build.build_model(Config(**TINY)), tmp_path, "saved_model")


def test_copy_computes_in_its_precision_at_any_depth():
    layers, mixed = keras.layers, "mixed_bfloat16"
    rows = keras.Input((28, 28))
    x = layers.Bidirectional(
        layers.LSTM(2, dtype=mixed),
        backward_layer=layers.LSTM(2, go_backwards=True, dtype=mixed),
        dtype=mixed,
    )(rows)
    inner = keras.Model(rows, layers.Dense(2, dtype=mixed)(x))
    image = keras.Input((28, 28, 1), name="image")
    digit = layers.Dense(10)(inner(layers.Reshape((28, 28))(image)))
    model = keras.Model(image, digit)
    copy = build.copy_model(model, "float32")
    assert {x.compute_dtype for x in copy._flatten_layers()} == {"float32"}
    for mine, its in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_copy_answers_as_the_model_does_whatever_is_in_it():
    """Adapted statistics, an inner model that was compiled, with a function of
    the user's, and a layer that is within it and beside it."""
    layers, rng = keras.layers, np.random.default_rng(0)
    images = rng.random((5, 28, 28, 1), "float32")
    adapted = layers.Normalization(axis=None)
    adapted.adapt(images)
    shared = layers.Dense(784, name="shared")
    flat = keras.Input((784,))
    inner = keras.Model(flat, layers.Dense(4)(shared(flat)))
    inner.compile("adam", loss=lambda y, p: p)
    image = keras.Input((28, 28, 1), name="image")
    x = shared(layers.Flatten()(adapted(image)))
    model = keras.Model(image, layers.Dense(10)(inner(x)))
    copy = build.copy_model(model)
    assert copy.count_params() == model.count_params()
    np.testing.assert_array_equal(
        copy.predict_on_batch(images), model.predict_on_batch(images)
    )


def test_multiply_adds_are_those_counted_by_hand():
    model = build.build_model(Config(width=4))
    by_hand = (
        24 * 24 * 25 * 1 * 4
        + 2 * 12 * 12 * 9 * 4 * 4
        + 12 * 12 * 9 * 4 * 8
        + 6 * 6 * 9 * 8 * 8
        + 6 * 6 * 9 * 8 * 16
        + 3 * 3 * 9 * 16 * 16
        + 16 * 10
    )
    assert build.count_multiply_adds(model) == by_hand


def test_multiply_adds_count_models_within_the_model():
    image = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(4, 3, strides=2)(image)  # 13 x 13
    x = keras.layers.DepthwiseConv2D(3)(x)  # 11 x 11
    x = keras.layers.SeparableConv2D(8, 3)(x)  # 9 x 9
    inner = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    outer = keras.Sequential([image, inner, keras.layers.Dense(10)])
    by_hand = 13 * 13 * 9 * 4 + 11 * 11 * 9 * 4 + 9 * 9 * (9 * 4 + 4 * 8)
    assert build.count_multiply_adds(inner) == by_hand
    assert build.count_multiply_adds(outer) == by_hand + 80


def test_rejects_a_file_that_is_not_a_model(tmp_path):
    path = tmp_path / "model.keras"
    with pytest.raises(InputError, match="No such model file. Received:"):
        keras_file.open_file(path)
    path.write_bytes(b"not a zip file")
    with pytest.raises(InputError, match="Cannot read.*Received:"):
        keras_file.open_file(path)
    build.build_model(Config(**TINY)).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="Cannot read.*Received:"):
        keras_file.open_file(path)


def test_rejects_a_model_with_other_inputs_or_outputs(tmp_path):
    image = keras.Input((28, 28, 1), name="image")
    other = keras.layers.Dense(10)(keras.layers.Flatten()(image))
    keras.Model(image, other).save(tmp_path / "other.keras")
    with pytest.raises(InputError, match="must take image.*Received:"):
        keras_file.open_file(tmp_path / "other.keras")
    keras.Model(image, other).export(tmp_path / "other", verbose=False)
    with pytest.raises(InputError, match="must take image.*Received:"):
        open_model(tmp_path / "other")


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
        keras_file.open_file(path)
    assert "lambda" in str(raised.value.__cause__).lower()
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
def test_rejects_inputs_of_another_type_or_shape(tmp_path, change):
    inputs = {
        "image": keras.Input((28, 28, 1), name="image"),
        "number": keras.Input((10,), name="number"),
        **change,
    }
    scaled = keras.layers.Rescaling(1.0)(inputs["image"])  # in float32
    flat = keras.layers.Flatten()(scaled)
    features = keras.layers.Concatenate()([flat, inputs["number"]])
    answers = {
        name: keras.layers.Dense(output.num_classes, name=name)(features)
        for name, output in task.Task.named().items()
    }
    model = keras.Model(inputs, answers)
    model.save(tmp_path / "other.keras")
    with pytest.raises(InputError, match="must take image.*Received:"):
        keras_file.open_file(tmp_path / "other.keras")
    if inputs["image"].shape[0] is None:  # an export frees the batch
        model.export(tmp_path / "other", verbose=False)
        with pytest.raises(InputError, match="must take image.*Received:"):
            open_model(tmp_path / "other")


def test_only_a_learned_table_counts_as_learned():
    learned = build.learned_tables(build.build_model(Config(**TINY)))
    assert {name: t.shape for name, t in learned.items()} == {
        "sum": (10, 10, 19),
        "difference": (10, 10, 10),
    }
    exact = build.build_model(Config(head="exact", **TINY))
    assert build.learned_tables(exact) == {}


def test_outputs_are_those_of_any_task_in_its_order(inputs):
    config = Config(outputs=("sum", "digit", "product", "greater"), **TINY)
    check_contract(config, inputs)
    model = build.build_model(config)
    assert list(model.output) == list(config.outputs)
    assert build.info_of(model).task == config.task
    assert list(build.learned_tables(model)) == ["sum", "product", "greater"]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_image_that_is_not_finite_gives_nan(inputs, backbone):
    model = build.build_model(Config(backbone=backbone, **TINY))
    inputs["image"][:3, 9, 9, 0] = [np.nan, np.inf, -np.inf]
    for predictions in model.predict(inputs, verbose=0).values():
        assert np.isnan(predictions[:3]).all()
        assert np.isfinite(predictions[3:]).all()


@pytest.mark.parametrize("head", HEADS)
def test_rejects_a_number_in_a_column(inputs, head):
    """Keras itself lets (7, 1) pass for (7, 10)."""
    model = build.build_model(Config(head=head, **TINY))
    with pytest.raises(ValueError, match=r"\(batch, 10\)|expected axis"):
        model.predict({**inputs, "number": np.ones((7, 1))}, verbose=0)


def test_takes_a_preset_or_its_name_for_a_config():
    expected = build.build_model(presets.get("fast").config).to_json()
    for same in ("fast", presets.get("fast")):
        model = build.build_model(same)
        assert model.count_params() == presets.get("fast").parameters
        assert len(model.to_json()) == len(expected)


@pytest.mark.parametrize(
    "config", ["fats", "", {"width": 2}, Config, 3, b"fast"]
)
def test_rejects_what_is_no_config(config):
    with pytest.raises(InputError, match="fast.*Received: ") as raised:
        build.build_model(config)
    assert "\n" not in str(raised.value)


def test_rejects_a_backbone_without_ten_logits(monkeypatch):
    monkeypatch.setitem(
        backbones.BACKBONES,
        "small",
        lambda image, width: keras.layers.Flatten()(image),
    )
    with pytest.raises(InputError, match=r"Received: \(None, 784\)"):
        build.build_model(Config(backbone="small"))


def test_copy_has_the_weights_and_metadata_and_leaves_the_model_alone(inputs):
    model = build.build_model(Config(precision="bfloat16", **TINY))
    before = model.to_json()
    copy = build.copy_model(model, "float32")
    assert model.to_json() == before
    assert build.info_of(copy).task == build.info_of(model).task
    assert {layer.compute_dtype for layer in copy.layers} == {"float32"}
    for one, other in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
