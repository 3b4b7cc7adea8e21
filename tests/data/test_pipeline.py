import dataclasses
import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_mnist_sum.config import Config
from keras_mnist_sum.data import augmentation
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import Task

STILL = dict(rotation=0.0, scale=0.0, shear=0.0, shift=0.0)
CONFIG = Config(steps=40, batch_size=8, seed=3)


def batches(digits, config=CONFIG, start_step=0):
    dataset = pipeline.training_dataset(*digits, config, start_step)
    return list(dataset.as_numpy_iterator())


def fingerprint(all_batches):
    digest = hashlib.sha256()
    for inputs, targets in all_batches:
        for part in (inputs, targets):
            for name in sorted(part):
                digest.update(part[name].tobytes())
    return digest.hexdigest()


def column(all_batches, side, name):
    return np.concatenate([batch[side][name] for batch in all_batches])


def test_batches_have_the_promised_names_shapes_and_types(digits):
    dataset = pipeline.training_dataset(*digits, CONFIG)
    inputs, targets = dataset.element_spec
    assert inputs["image"] == tf.TensorSpec((8, 28, 28, 1), tf.float32)
    assert inputs["number"] == tf.TensorSpec((8, 10), tf.float32)
    for name in ("digit", "sum", "difference"):
        assert targets[name] == tf.TensorSpec((8,), tf.int64)
    assert len(batches(digits)) == CONFIG.steps


def test_epochs_are_as_many_batches_as_they_have_steps(digits):
    epochs = dataclasses.replace(CONFIG, epochs=1.6)
    steps = dataclasses.replace(CONFIG, steps=round(1.6 * len(digits[0]) / 8))
    expected = fingerprint(batches(digits, steps))
    assert fingerprint(batches(digits, epochs)) == expected


@pytest.mark.parametrize("difference", ["absolute", "signed"])
def test_targets_are_the_arithmetic_of_the_inputs(digits, difference):
    config = dataclasses.replace(CONFIG, difference=difference, **STILL)
    found = batches(digits, config)
    images, labels = digits
    label_of = {image.tobytes(): label for image, label in zip(images, labels)}
    pixels = np.rint(255 * column(found, 0, "image")).astype("uint8")[..., 0]
    digit = np.array([label_of[image.tobytes()] for image in pixels], int)
    one_hot = column(found, 0, "number")
    assert np.all(np.sort(one_hot, axis=1)[:, :9] == 0)
    number = one_hot.argmax(axis=1)
    np.testing.assert_array_equal(column(found, 1, "digit"), digit)
    np.testing.assert_array_equal(column(found, 1, "sum"), digit + number)
    expected = digit - number
    expected = np.abs(expected) if difference == "absolute" else expected + 9
    np.testing.assert_array_equal(column(found, 1, "difference"), expected)


@pytest.mark.parametrize("batch_size", [7, 8, 50])
def test_each_epoch_uses_each_image_exactly_once(digits, batch_size):
    images, _ = digits
    config = dataclasses.replace(CONFIG, batch_size=batch_size, **STILL)
    pixels = column(batches(digits, config), 0, "image")
    pixels = np.rint(255 * pixels).astype("uint8")[..., 0]
    place = {image.tobytes(): i for i, image in enumerate(images)}
    order = np.array([place[image.tobytes()] for image in pixels])
    epochs = order[: len(order) // 50 * 50].reshape(-1, 50)
    assert len(epochs) >= 5
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(50))
    assert len({epoch.tobytes() for epoch in epochs}) == len(epochs)


def test_numbers_and_warps_are_fresh_in_every_epoch(digits):
    config = dataclasses.replace(CONFIG, batch_size=50, steps=6)
    found = batches(digits, config)
    numbers = {inputs["number"].tobytes() for inputs, _ in found}
    assert len(numbers) == 6
    # The same image, in six epochs, under six warps.
    of_label = [
        inputs["image"][targets["digit"] == 3] for inputs, targets in found
    ]
    seen = {image.tobytes() for batch in of_label for image in batch}
    assert len(seen) == 6 * 5


def test_numbers_are_uniform(digits):
    config = dataclasses.replace(CONFIG, batch_size=50, steps=400, **STILL)
    one_hot = column(batches(digits, config), 0, "number")
    counts = one_hot.sum(axis=0)
    expected = len(one_hot) / 10
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 27.9  # 9 degrees of freedom, p = 0.001


def test_numbers_do_not_depend_on_the_digit(digits):
    config = dataclasses.replace(CONFIG, batch_size=50, steps=400, **STILL)
    found = batches(digits, config)
    digit = column(found, 1, "digit")
    number = column(found, 0, "number").argmax(axis=1)
    counts = np.histogram2d(digit, number, bins=10)[0]
    expected = len(digit) / 100
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 149  # 99 degrees of freedom, p = 0.001


@pytest.mark.parametrize("start", [1, 6, 7, 39])
def test_dataset_from_step_k_continues_a_run(digits, start):
    whole = batches(digits)
    rest = batches(digits, start_step=start)
    assert fingerprint(rest) == fingerprint(whole[start:])


@pytest.mark.parametrize("changes", [{}, {**STILL, "elastic": 2.0}])
def test_warps_fade_to_nothing_by_the_end(digits, changes):
    config = dataclasses.replace(
        CONFIG, steps=100, warp_fade_fraction=0.5, **changes
    )
    still = dataclasses.replace(config, elastic=0.0, **STILL)
    pairs = zip(batches(digits, config), batches(digits, still))
    change = np.array(
        [np.abs(a[0]["image"] - b[0]["image"]).mean() for a, b in pairs]
    )
    assert change[:50].min() > 0.05  # full strength in the first half
    assert change[-2:].max() < 0.15 * change[:50].min()
    assert change[50:60].mean() > change[70:80].mean() > change[90:].mean()


def test_parts_of_a_batch_make_up_the_batch(digits):
    config = dataclasses.replace(CONFIG, elastic=1.0)
    parts = [
        pipeline.training_dataset(*digits, config, part=part)
        for part in (slice(0, 4), slice(4, 8))
    ]
    joined = [
        tf.nest.map_structure(lambda *x: np.concatenate(x), *both)
        for both in zip(*(part.as_numpy_iterator() for part in parts))
    ]
    assert fingerprint(joined) == fingerprint(batches(digits, config))


def test_seeds_differ(digits):
    other = dataclasses.replace(CONFIG, seed=4)
    assert fingerprint(batches(digits, other)) != fingerprint(batches(digits))


def test_two_processes_with_one_seed_draw_the_same(digits, tmp_path):
    np.savez(tmp_path / "digits.npz", images=digits[0], labels=digits[1])
    program = (
        "import sys, numpy\n"
        "sys.path[:0] = [sys.argv[1]]\n"
        "from keras_mnist_sum.utils.quiet import import_tensorflow\n"
        "import_tensorflow()\n"
        "from tests.data.test_pipeline import batches, fingerprint\n"
        "digits = numpy.load(sys.argv[2])\n"
        "digits = digits['images'], digits['labels']\n"
        "print(fingerprint(batches(digits)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, ".", str(tmp_path / "digits.npz")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == fingerprint(batches(digits))


def test_validation_uses_each_image_once_with_the_same_numbers(digits):
    dataset = pipeline.validation_dataset(*digits, CONFIG)
    first, second = (list(dataset.as_numpy_iterator()) for _ in range(2))
    assert fingerprint(first) == fingerprint(second)
    np.testing.assert_array_equal(column(first, 1, "digit"), digits[1])
    assert len(set(column(first, 0, "number").argmax(axis=1))) == 10


def test_rejects_wrong_arguments(digits):
    images, labels = digits
    wrong = {
        "must lie in 0-255": (images.astype("float32") * 2, labels),
        r"\(50, 28, 27\)": (images[:, :, :27], labels),
        "0-9.*0 to 10": (images, labels + (labels == 9)),
        "50 images and 49": (images, labels[:-1]),
        "integers of shape": (images, labels + 0.5),
        "0 images": (images[:0], labels[:0]),
    }
    for message, arrays in wrong.items():
        for make in (pipeline.training_dataset, pipeline.validation_dataset):
            with pytest.raises(InputError, match=f"{message}"):
                make(*arrays, CONFIG)
    with pytest.raises(InputError, match="Received: batch_size=51"):
        batches(digits, dataclasses.replace(CONFIG, batch_size=51))
    with pytest.raises(InputError, match="Received: start_step=-1"):
        batches(digits, start_step=-1)


def test_no_two_streams_of_draws_share_a_seed():
    streams = [
        pipeline.SHUFFLE,
        pipeline.NUMBER,
        pipeline.VALIDATION_NUMBER,
        *augmentation.AUGMENTATIONS,
    ]
    seeds = {
        tuple(np.asarray(pipeline.draw_seed(seed, stream, step)))
        for seed, stream, step in itertools.product(
            range(3), streams, range(20)
        )
    }
    assert len(seeds) == 3 * len(streams) * 20


@pytest.mark.parametrize("head", ["table", "regression"])
def test_targets_follow_any_task(digits, head):
    task = Task(
        greater=lambda d, n: d > n,
        digit=lambda d, n: d,
        product=lambda d, n: d * n,
    )
    config = dataclasses.replace(CONFIG, custom_task=task, head=head, **STILL)
    training = batches(digits, config)
    validation = list(
        pipeline.validation_dataset(*digits, config).as_numpy_iterator()
    )
    for found in (training, validation):
        assert list(found[0][1]) == ["greater", "digit", "product"]
        number = column(found, 0, "number").argmax(axis=1)
        digit = column(found, 1, "digit")
        assert digit.dtype == np.int64 and digit.ndim == 1
        for name, expected in {
            "product": digit * number,
            "greater": digit > number,
        }.items():
            target = column(found, 1, name)
            if head == "regression":
                assert target.dtype == np.float32
                np.testing.assert_array_equal(target, expected[:, np.newaxis])
            else:
                assert target.dtype == np.int64
                values = np.array(task[name].values)[target]
                np.testing.assert_array_equal(values, expected)


def test_batch_is_that_of_a_run(digits):
    mnist = Mnist.from_arrays(*digits, *digits)
    config = dataclasses.replace(CONFIG, validation_fraction=0.2)
    split = mnist.split(0.2)
    run = batches((split.images, split.labels), config)
    for step in (0, 7, 39):
        found = pipeline.batch(mnist, config, step)
        assert fingerprint([found]) == fingerprint([run[step]])
    for step in (-1, 40):
        with pytest.raises(InputError, match=f"0 to 39. Received: step={step}"):
            pipeline.batch(mnist, config, step)


def test_settings_of_each_augmentation_are_fields_of_a_config(digits):
    """And each of them is called where one of its settings is not 0."""
    still = dataclasses.replace(CONFIG, **STILL)
    for _, settings in augmentation.AUGMENTATIONS.values():
        for name in settings:
            warped = dataclasses.replace(still, **{name: 0.5})
            assert fingerprint(batches(digits, warped)) != fingerprint(
                batches(digits, still)
            )


def test_new_augmentation_is_a_function_and_a_line(digits, monkeypatch):
    def darken(images, seed, *, shear, batch_size, part):
        draws = tf.random.stateless_uniform([batch_size, 1, 1, 1], seed)
        return images * (1 - shear * draws[part])

    monkeypatch.setattr(pipeline, "AUGMENTATIONS", {5: (darken, ("shear",))})
    config = dataclasses.replace(CONFIG, **{**STILL, "shear": 1.0})
    dark = column(batches(digits, config), 0, "image")
    still = dataclasses.replace(CONFIG, **STILL)
    assert dark.mean() < 0.8 * column(batches(digits, still), 0, "image").mean()
