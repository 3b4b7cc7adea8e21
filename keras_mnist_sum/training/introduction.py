"""What a run says of itself before its first step."""

import keras

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.mnist import Split
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.models.build import count_multiply_adds


def introduction(
    mnist: Mnist,
    split: Split,
    config: Config,
    model: keras.Model,
    devices: Distribution,
) -> str:
    """The data, the model and the training of a run, in three lines."""
    steps_per_epoch = -(-len(split.images) // config.batch_size)
    own = config.custom_optimizer
    optimizer = own["class_name"] if own else config.optimizer
    network = f"{config.backbone}, {config.head} heads"
    if config.initial_weights:
        network = "the given one"
    teachers = len(config.teachers_sha256 or ()) + config.train_teachers
    weight = config.distillation_weight
    taught = (
        f", {weight:g} of the loss from {teachers} teachers" if teachers else ""
    )
    return (
        f"data   {mnist.description}: {len(split.images):,} images to train "
        f"on, {len(split.validation_images):,} for validation, "
        f"{len(mnist.test_images):,} to test\n"
        f"model  {network}: "
        f"{model.count_params():,} parameters, "
        f"{count_multiply_adds(model) / 1e6:.1f} million multiply-adds per "
        f"image\ntrain  {config.steps:,} steps of {config.batch_size} "
        f"({steps_per_epoch:,} an epoch), {optimizer} in "
        f"{config.precision} on {devices}{taught}"
    )
