"""Teachers that a run trains itself, before it learns from them."""

import dataclasses
import logging
from collections.abc import Callable

import numpy as np

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.formats import run_checks
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.training import origin
from keras_mnist_sum.training.distillation import load_teacher
from keras_mnist_sum.training.teachers import Teacher
from keras_mnist_sum.training.teachers import find_teachers

_logger = logging.getLogger(__name__)


def train_own_teachers(
    run: Run,
    config: Config,
    mnist: Mnist,
    devices: Distribution,
    train_one: Callable[[Run, Config], None],
) -> list[Teacher]:
    """Trains the teachers of a run, or goes on with them.

    Each is a run of its own, below that of the model, by the same config but
    for the seed, which follows from the run's.

    Args:
        run: The run that has the teachers.
        config: Its config, settled.
        mnist: The data.
        devices: What trains; all workers must call this together.
        train_one: Trains and finishes a run.

    Returns:
        The teachers, loaded.

    Raises:
        InputError: If another run, or one of other data, is in one's place.
    """
    if devices.is_chief and not run.has_begun:
        run.begin(config, devices.replicas)
    teachers = []
    for index in range(config.train_teachers):
        _logger.info(f"teach  {index + 1} of {config.train_teachers}")
        own, its_config = Run(run.teachers / str(index)), _config(config, index)
        if own.has_begun:
            run_checks.check_config(own, its_config)
        if own.is_scored:
            origin.check_results(own, its_config, mnist)
        # All or none: by its files, a late worker would find it finished.
        is_missing = devices.is_chief and not own.is_finished
        if any(devices.all_reduce_any([is_missing])):
            train_one(own, its_config)
        if devices.is_chief:
            own.remove_checkpoints()
        [teacher] = find_teachers([own.path])
        teachers.append(load_teacher(teacher, config))
    return teachers


def _config(config: Config, index: int) -> Config:
    [seed] = np.random.SeedSequence([config.seed, index]).generate_state(1)
    return dataclasses.replace(
        config,
        seed=int(seed) % 2**31,
        train_teachers=0,
        teachers_sha256=None,
        distillation_weight=Config.distillation_weight,
    )
