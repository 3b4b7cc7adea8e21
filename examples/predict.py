"""Asks the pretrained model: about a picture, and about many at once.

    python -m examples.predict [PICTURE] [NUMBER]

PICTURE is a file; without one, a seven is drawn.
"""

import sys

import numpy as np

from keras_mnist_sum import InputError
from keras_mnist_sum import Predictor


def seven() -> np.ndarray:
    image = np.zeros((28, 28), "uint8")
    image[6:9, 8:20] = image[9:23, 16:19] = 255
    return image


def main(picture: str = "", number: str = "3") -> None:
    predictor = Predictor.load()  # or Predictor.load("runs/...")
    try:
        answer = predictor(picture or seven(), int(number))
    except InputError as error:  # It says what was wrong with the picture.
        sys.exit(f"error: {error}")
    print(answer)
    print("P(sum) =", np.round(answer.predictions["sum"], 3))

    images = np.stack([seven()] * 10)  # a batch, with each number
    answers = predictor(images, range(10))
    print("sums", [answer.sum for answer in answers])


if __name__ == "__main__":
    main(*sys.argv[1:])
