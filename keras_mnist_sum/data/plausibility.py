"""Signs that data was misread: it is told, and never refused."""

import contextlib
from collections.abc import Callable

import numpy as np

from keras_mnist_sum.data.mnist import Mnist

_COUNT = 50  # images that are looked at
_FEWER = 20  # of them, for each change that is undone
_FEWEST = 10  # from which anything can be told
_SURE = 0.99  # probability

# How images may have been changed, and what undoes it.
_CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "inverted": lambda x: 255 - x,
    "transposed": lambda x: x.transpose(0, 2, 1),
    "mirrored": lambda x: x[:, :, ::-1],
    "upside down": lambda x: x[:, ::-1],
    "turned by 180 degrees": lambda x: x[:, ::-1, ::-1],
    "turned to the left": lambda x: np.rot90(x, -1, (1, 2)),
    "turned to the right": lambda x: np.rot90(x, 1, (1, 2)),
    "inverted and transposed": lambda x: 255 - x.transpose(0, 2, 1),
}


def warnings(
    mnist: Mnist, read_digits: Callable[[np.ndarray], np.ndarray]
) -> list[str]:
    """What a person must know of the data, a line each: its own warning, and
    what is doubtful.

    Args:
        mnist: The data.
        read_digits: As for `doubt`.
    """
    return [x for x in (mnist.warning, doubt(mnist, read_digits)) if x]


def doubt(mnist: Mnist, read_digits: Callable[[np.ndarray], np.ndarray]) -> str:
    """What makes it doubtful that the data is as it was meant.

    Some images are compared with what a model of digits reads. Data of another
    kind, letters or clothes for example, is not doubted, nor are MNIST and its
    sample.

    Args:
        mnist: The data.
        read_digits: A function from uint8 images of shape `(batch, 28, 28)` to
            the probabilities of the digits, `(batch, 10)`. If it fails, images
            are not compared.

    Returns:
        A warning in one line, or an empty string.
    """
    if mnist.source in ("tfds", "sample"):
        return ""
    for images, labels, words in (
        (mnist.train_images, mnist.train_labels, ""),
        (mnist.test_images, mnist.test_labels, "in the test set, "),
    ):
        if len(images) < _FEWEST:
            continue
        # At random: labels may come in turns.
        rng = np.random.default_rng(0)
        count = min(_COUNT, len(images))
        chosen = np.sort(rng.choice(len(images), count, replace=False))
        doubts = _doubt_images(images[chosen], labels[chosen])
        if not doubts:
            # It is a courtesy: without the model, the data is used anyway.
            with contextlib.suppress(Exception):
                doubts = _doubt_reading(
                    images[chosen], labels[chosen], read_digits
                )
        if doubts:
            return words + doubts
    return _doubt_split(mnist)


def _doubt_images(images: np.ndarray, labels: np.ndarray) -> str:
    blank = int((np.ptp(images, axis=(1, 2)) == 0).sum())
    if blank * 10 >= len(images):
        return f"{blank} of {len(images)} images are of one colour alone"
    if (images == images[0]).all():
        return f"{len(images)} of {len(images)} images are the same"
    if (labels == labels[0]).all():
        return f"{len(labels)} of {len(labels)} labels are {labels[0]}"
    return ""


def _doubt_split(mnist: Mnist) -> str:
    """Looks for test images among those to train on."""
    if len(mnist.test_images) < 2 * _COUNT:
        return ""  # So few are there to try something.
    step = len(mnist.test_images) // _COUNT
    wanted = {image.tobytes() for image in mnist.test_images[::step]}
    found = wanted & {image.tobytes() for image in mnist.train_images}
    if len(found) * 10 >= len(wanted):
        return (
            f"{len(found)} of {len(wanted)} test images are training images, "
            "too: scores will be too good"
        )
    return ""


def _doubt_reading(
    images: np.ndarray,
    labels: np.ndarray,
    read_digits: Callable[[np.ndarray], np.ndarray],
) -> str:
    probabilities = read_digits(images)
    is_right = probabilities.argmax(axis=1) == labels
    if is_right.mean() >= 0.9:
        return ""
    chosen = np.linspace(0, len(images) - 1, min(_FEWER, len(images)))
    few, digits = (x[chosen.astype(int)] for x in (images, labels))
    as_is = int(is_right[chosen.astype(int)].sum())
    if len(set(digits.tolist())) > 2:
        for name, undo in _CHANGES.items():
            undone = np.ascontiguousarray(undo(few))
            right = int((read_digits(undone).argmax(axis=1) == digits).sum())
            if right >= 0.8 * len(few) and right - as_is >= 0.3 * len(few):
                return (
                    f"the images seem to be {name}: a model of MNIST reads "
                    f"{as_is} of {len(few)} right as they are, but {right} "
                    "once that is undone"
                )
    is_sure = probabilities.max(axis=1) >= _SURE
    wrong = int((is_sure & ~is_right).sum())
    if is_sure.mean() >= 0.9 and wrong >= max(0.1 * len(images), 3):
        return (
            f"labels seem not to belong to their images: a model of MNIST is "
            f"sure that {wrong} of {len(images)} show other digits"
        )
    return ""
