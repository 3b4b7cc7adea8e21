"""Addition of numbers given as images, against brute force."""

import itertools

import keras
import numpy as np
import pytest

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models.addition import add_digits
from keras_mnist_sum.models.addition import build_adder
from keras_mnist_sum.models.addition import first_column_loss
from keras_mnist_sum.models.addition import lenet
from keras_mnist_sum.models.addition import log_probability
from keras_mnist_sum.models.addition import most_probable_sum
from keras_mnist_sum.models.addition import negative_log_probability


def some_beliefs(digits, batch=3, sharpness=0.3):
    """Random distributions over the digits of two numbers."""
    rng = np.random.default_rng(digits)
    shares = rng.dirichlet(np.full(10, sharpness), (batch, 2, digits))
    return np.maximum(shares, 1e-30)  # (batch, 2, digits, 10)


def as_digits(value, count):
    return [int(x) for x in str(value).zfill(count)]


def as_number(digits):
    return int("".join(str(x) for x in np.array(digits)))


def brute_force(shares):
    """P(sum = s) for each s, over all digits that there may be."""
    batch, _, digits, _ = shares.shape
    found = np.zeros((batch, 2 * 10**digits))
    for world in itertools.product(range(10), repeat=2 * digits):
        first, second = np.reshape(world, (2, digits))
        share = np.ones(batch)
        for i in range(digits):
            share *= shares[:, 0, i, first[i]] * shares[:, 1, i, second[i]]
        found[:, as_number(first) + as_number(second)] += share
    return found


@pytest.mark.parametrize("digits", [1, 2])
def test_probability_of_each_sum_equals_brute_force(digits):
    shares = some_beliefs(digits)
    expected = brute_force(shares)
    values = range(2 * 10**digits)
    sums = np.array([as_digits(value, digits + 1) for value in values])
    for beliefs, row in zip(np.log(shares).astype("float32"), expected):
        same = np.repeat(beliefs[np.newaxis], len(sums), axis=0)
        found = np.exp(log_probability(sums, same))
        np.testing.assert_allclose(found, row, 1e-4, 1e-7)


@pytest.mark.parametrize("digits", [1, 15, 100])
def test_certain_digits_add_up_as_big_integers_do(digits):
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 10, (20, 2, digits))
    numbers[0], numbers[1, 0], numbers[1, 1] = 9, 9, 0
    numbers[1, 1, -1] = 1  # 99...9 + 1
    sums = add_digits(numbers)
    for (first, second), found in zip(numbers, sums):
        total = as_number(first) + as_number(second)
        assert list(found) == as_digits(total, digits + 1)
    logits = 50.0 * np.eye(10, dtype="float32")[numbers]
    log_digits = keras.ops.log_softmax(logits, axis=-1)
    np.testing.assert_array_equal(most_probable_sum(log_digits), sums)
    found = np.exp(log_probability(sums, log_digits))
    np.testing.assert_allclose(found, 1.0, atol=1e-5)
    wrong = sums.copy()
    wrong[:, -1] = (wrong[:, -1] + 1) % 10
    assert np.all(np.array(log_probability(wrong, log_digits)) < -40)


def test_probability_of_long_sums_is_that_of_plain_arithmetic():
    """Multiplied and added column by column in float64, pair by pair."""
    shares = some_beliefs(15, sharpness=5.0).astype("float64")
    log_digits = np.log(shares).astype("float32")
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 10, (3, 2, 15))
    alpha = {0: np.ones(3), 1: np.zeros(3)}  # by carry, in the plain domain
    sums = add_digits(numbers)
    for column in reversed(range(15)):
        after = {0: np.zeros(3), 1: np.zeros(3)}
        for a, b, carry in itertools.product(range(10), range(10), (0, 1)):
            share = shares[:, 0, column, a] * shares[:, 1, column, b]
            fits = (a + b + carry) % 10 == sums[:, column + 1]
            after[(a + b + carry) // 10] += share * fits * alpha[carry]
        alpha = after
    expected = np.where(sums[:, 0] == 1, alpha[1], alpha[0])
    found = log_probability(sums, log_digits)
    np.testing.assert_allclose(found, np.log(expected), rtol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1000.0])
@pytest.mark.parametrize("digits", [1, 15])
def test_gradients_are_finite(digits, scale):
    """Also where the reader is certain, and wrong: a sum of no two numbers."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    logits = tf.Variable(
        scale * rng.normal(size=(20, 2, digits, 10)), dtype="float32"
    )
    sums = rng.integers(0, 10, (20, digits + 1))
    with tf.GradientTape() as tape:
        log_digits = keras.ops.log_softmax(logits, axis=-1)
        loss = negative_log_probability(sums, log_digits)
    assert np.all(np.isfinite(loss))
    assert np.all(np.isfinite(tape.gradient(loss, logits)))


def test_first_column_counts_both_carries_that_may_come():
    shares = some_beliefs(1)
    expected = np.zeros((3, 20))
    for carry, chance in ((0, 0.55), (1, 0.45)):
        expected[:, carry : 19 + carry] += chance * brute_force(shares)[:, :19]
    log_digits = np.log(shares).astype("float32")
    for value in range(20):
        sums = np.array([as_digits(value, 2)] * 3)
        found = np.exp(-first_column_loss(sums, log_digits))
        np.testing.assert_allclose(found, expected[:, value], 1e-4, 1e-7)


def test_sum_is_the_most_probable_one_where_it_is_likelier_than_not():
    for sharpness in (0.005, 0.02):
        shares = some_beliefs(2, batch=20, sharpness=sharpness)
        log_digits = np.log(shares).astype("float32")
        found = most_probable_sum(log_digits)
        share = np.exp(log_probability(found, log_digits))
        best = brute_force(shares).argmax(axis=1)
        values = np.array([as_number(x) for x in found])
        likely = share > 0.5
        assert likely.any()
        assert np.all(values[likely] == best[likely])


def test_adder_answers_the_same_after_save_and_load(tmp_path):
    model = build_adder(digits=3)
    images = np.random.default_rng(0).random((4, 2, 3, 28, 28, 1), "float32")
    expected = model.predict(images, verbose=0)
    assert expected["digits"].shape == (4, 2, 3, 10)
    assert expected["sum"].shape == (4, 4)
    assert expected["probability"].shape == (4,)
    model.save(tmp_path / "adder.keras")
    again = keras.saving.load_model(tmp_path / "adder.keras")
    for name, values in again.predict(images, verbose=0).items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")
def test_exports_of_an_adder_answer_as_it_does(tmp_path):
    import onnxruntime
    import tensorflow as tf

    model = build_adder(digits=3)
    images = np.random.default_rng(0).random((4, 2, 3, 28, 28, 1), "float32")
    expected = model.predict(images, verbose=0)
    model.export(tmp_path / "saved", verbose=False)
    saved = tf.saved_model.load(tmp_path / "saved")
    model.export(tmp_path / "adder.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "adder.onnx")
    names = [output.name for output in session.get_outputs()]
    onnx = dict(zip(names, session.run(None, {"numbers": images})))
    for answers in (saved.serve(images), onnx):
        for name, values in expected.items():
            np.testing.assert_allclose(answers[name], values, atol=1e-5)


def test_adder_reads_both_numbers_alike():
    """One reader: with the numbers swapped, the sum stays."""
    model = build_adder(digits=2)
    images = np.random.default_rng(0).random((3, 2, 2, 28, 28, 1), "float32")
    one, other = (
        model.predict(x, verbose=0) for x in (images, images[:, ::-1])
    )
    np.testing.assert_allclose(one["digits"], other["digits"][:, ::-1], 1e-5)
    np.testing.assert_array_equal(one["sum"], other["sum"])


def test_probabilities_are_float32_also_in_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_adder(2)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("reader").get_layer("logits").dtype_policy.name == (
        "mixed_bfloat16"
    )
    assert model.output["digits"].dtype == "float32"
    assert model.output["probability"].dtype == "float32"
    assert model.output["sum"].dtype == "int32"


def test_pixel_that_is_not_finite_makes_the_probability_nan():
    images = np.ones((2, 2, 1, 28, 28, 1), "float32")
    images[1, 0, 0, 5, 5, 0] = np.nan
    share = build_adder(1).predict(images, verbose=0)["probability"]
    assert np.isfinite(share[0])
    assert np.isnan(share[1])


def test_lenet_has_the_layers_of_the_published_one():
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, lenet(image))
    assert model.count_params() == 44_426
    kernels = [x.shape for x in model.weights if x.name == "kernel"]
    assert kernels == [
        *((5, 5, 1, 6), (5, 5, 6, 16)),
        *((256, 120), (120, 84), (84, 10)),
    ]


@pytest.mark.parametrize("digits", [0, -1, 1.5, "2", None, 1001])
def test_adder_without_digits_is_refused(digits):
    with pytest.raises(InputError, match="Received: "):
        build_adder(digits)


@pytest.mark.parametrize("backbone", ["resnet", None, ["lenet"]])
def test_unknown_backbone_is_refused(backbone):
    with pytest.raises(InputError, match="Received: "):
        build_adder(1, backbone)


def test_shapes_that_do_not_fit_are_refused():
    log_digits = np.zeros((3, 2, 4, 10), "float32")
    for sums, beliefs in (
        (np.zeros((3, 4)), log_digits),
        (np.zeros(3), log_digits),
        (np.zeros((3, 5)), log_digits[0]),
        (np.zeros((3, 5)), log_digits[..., :9]),
        (np.zeros((3, 5)), log_digits[:, :1]),
    ):
        with pytest.raises(InputError, match="Received: "):
            log_probability(sums, beliefs)


@pytest.mark.parametrize(
    "numbers",
    [
        *(np.zeros((3, 4), int), np.zeros((3, 3, 4), int), "12"),
        *(np.zeros((3, 2, 0), int), np.full((1, 2, 3), 10), None),
        *(np.full((1, 2, 3), -1), np.zeros((1, 2, 3)), [[[1], [None]]]),
    ],
)
def test_what_is_no_pair_of_numbers_is_refused(numbers):
    with pytest.raises(InputError, match="Received: "):
        add_digits(numbers)
