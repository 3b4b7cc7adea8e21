import numpy as np
import pytest
import tensorflow as tf

from keras_mnist_sum.data import augmentation


@pytest.fixture
def dot():
    """Three images, each with one white pixel a bit right of the centre."""
    images = np.zeros((3, 29, 29, 1), "float32")
    images[:, 14, 18] = 1
    return tf.constant(images)


def test_affine_of_zero_changes_nothing(dot):
    np.testing.assert_array_equal(augmentation.random_affine(dot, [1, 2]), dot)


def test_equal_seeds_give_equal_warps_and_other_seeds_do_not(dot):
    ranges = dict(rotation=0.3, scale=0.1, shear=0.1, shift=2.0)
    first = augmentation.random_affine(dot, [1, 2], **ranges)
    again = augmentation.random_affine(dot, [1, 2], **ranges)
    other = augmentation.random_affine(dot, [1, 3], **ranges)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_each_image_has_a_warp_of_its_own(dot):
    warped = augmentation.random_affine(dot, [1, 2], shift=3.0).numpy()
    assert np.abs(warped[0] - warped[1]).max() > 0.1


def test_rotation_keeps_the_distance_from_the_centre(dot):
    images = tf.repeat(dot, 50, axis=0)
    warped = augmentation.random_affine(images, [1, 2], rotation=np.pi)[..., 0]
    rows, columns = np.indices((29, 29)) - 14
    mass = tf.reduce_sum(warped, axis=(1, 2))
    y = tf.reduce_sum(warped * rows, axis=(1, 2)) / mass
    x = tf.reduce_sum(warped * columns, axis=(1, 2)) / mass
    np.testing.assert_allclose(tf.sqrt(x**2 + y**2), 4.0, atol=0.3)
    angles = np.arctan2(y, x)
    assert angles.min() < -2 and angles.max() > 2


def test_shift_moves_by_at_most_its_range(dot):
    images = tf.repeat(dot, 100, axis=0)
    warped = augmentation.random_affine(images, [1, 2], shift=2.0)[..., 0]
    rows = tf.reduce_sum(warped * np.indices((29, 29))[0], axis=(1, 2))
    assert np.all(np.abs(rows - 14) <= 2 + 1e-4)
    assert np.abs(rows - 14).max() > 1.5


@pytest.mark.parametrize("name", ["scale", "shear"])
def test_scale_and_shear_change_what_they_name(name):
    """A bar on the centre line: shear leaves its width, scale its slant."""
    images = np.zeros((200, 29, 29, 1), "float32")
    images[:, 4:25, 10:19] = 1
    warped = augmentation.random_affine(images, [1, 2], **{name: 0.3}).numpy()
    mass = warped.sum(axis=(1, 2, 3)) / images[0].sum()
    columns = np.indices((29, 29))[1][..., np.newaxis]
    top, bottom = (
        (warped[:, rows] * columns[rows]).sum(axis=(1, 2, 3))
        / warped[:, rows].sum(axis=(1, 2, 3))
        for rows in (slice(6, 12), slice(17, 23))
    )
    if name == "scale":
        assert mass.min() < 0.8 and mass.max() > 1.2
        np.testing.assert_allclose(top, bottom, atol=0.05)
    else:
        np.testing.assert_allclose(mass, 1.0, atol=0.05)
        assert (top - bottom).min() < -2 and (top - bottom).max() > 2


@pytest.fixture
def ramps():
    """100 images of two channels: each pixel's row, and its column."""
    pixels = np.stack(np.indices((28, 28)), axis=-1).astype("float32")
    return tf.constant(np.tile(pixels, (100, 1, 1, 1)))


def test_elastic_of_zero_bends_nothing(ramps):
    bent = augmentation.random_elastic(ramps, [1, 2], elastic=0.0)
    np.testing.assert_allclose(bent, ramps, atol=1e-5)


def test_elastic_follows_its_seed_and_bends_each_image_differently(ramps):
    first = augmentation.random_elastic(ramps, [1, 2], elastic=1.0)
    again = augmentation.random_elastic(ramps, [1, 2], elastic=1.0)
    other = augmentation.random_elastic(ramps, [1, 3], elastic=1.0)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1
    assert np.abs(first[0] - first[1]).max() > 1


def test_elastic_field_is_as_large_as_asked_for_smooth_and_centred(ramps):
    """On a ramp, what is read is the place it is read from."""
    bent = augmentation.random_elastic(ramps, [1, 2], elastic=0.8)
    inner = (slice(None), slice(5, -5), slice(5, -5))
    moved = (bent - ramps).numpy()[inner]
    assert abs(moved.mean()) < 0.1
    assert 0.5 < moved.std() < 0.8  # between its points the field is weaker
    assert abs(np.mean(moved[..., 0] * moved[..., 1])) < 0.05
    assert np.diff(moved, axis=1).std() < 0.5 * moved.std()
    assert bent.numpy().min() >= -1e-4 and bent.numpy().max() <= 27 + 1e-4


def test_elastic_reads_bilinearly_where_its_field_points():
    """Against a slow count, pixel by pixel."""
    rng = np.random.default_rng(0)
    noise = rng.random((2, 12, 9, 1)).astype("float32")
    places = np.stack(np.indices((12, 9)), axis=-1).astype("float32")
    images = np.concatenate([np.tile(places, (2, 1, 1, 1)), noise], axis=-1)
    bent = augmentation.random_elastic(images, [3, 4], elastic=2.0).numpy()
    for image, row, column in np.ndindex(2, 12, 9):
        y, x, found = bent[image, row, column]
        top, left = min(int(y), 10), min(int(x), 7)
        expected = sum(
            noise[image, top + i, left + j, 0]
            * (1 - abs(y - top - i))
            * (1 - abs(x - left - j))
            for i in (0, 1)
            for j in (0, 1)
        )
        assert found == pytest.approx(expected, abs=1e-4)
