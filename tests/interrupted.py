"""Runs that end early, each in a process of its own, forked from one that has
TensorFlow and Matplotlib imported already: seconds less for each.

What ends them is a callback, as a user could pass to `train`, or a call of the
system that does not return.
"""

import functools
import importlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

from keras_mnist_sum.utils.quiet import import_tensorflow

import_tensorflow()

import keras  # noqa: E402

from keras_mnist_sum.commands import cli  # noqa: E402
from keras_mnist_sum.distribution.cluster import Cluster  # noqa: E402
from keras_mnist_sum.distribution.cluster import free_addresses  # noqa: E402
from keras_mnist_sum.reporting import image_grids  # noqa: E402, F401
from keras_mnist_sum.training import train  # noqa: E402

# What looked for a GPU cannot use one after a fork.
CONTEXT = multiprocessing.get_context(
    "spawn" if "TEST_GPU" in os.environ else "forkserver"
)
CONTEXT.set_forkserver_preload([__name__])


def run(config, run_dir, *trouble, **named):
    """Runs `training.train` with `trouble`, a function below and its
    arguments, and returns the exit code: that of the command, or minus the
    signal that killed it."""
    process = start(config, run_dir, *trouble, **named)
    process.join(300)
    return process.exitcode


def start(config, run_dir, *trouble, **named):
    process = CONTEXT.Process(
        target=_child, args=(config, run_dir, trouble), kwargs=named
    )
    process.start()
    return process


def start_workers(config, run_dir, count, troubles=(), present=None, **named):
    """Starts processes that train together, or those of them that are
    `present`; `troubles` are by worker."""
    addresses = free_addresses(count)
    processes = []
    for index in range(present or count):
        trouble = dict(troubles).get(index, ())
        named["tf_config"] = Cluster(addresses, index).to_tf_config()
        processes.append(start(config, run_dir, *trouble, **named))
    return processes


def errors(run_dir, worker=""):
    """What the last process in `run_dir` wrote to standard error."""
    return Path(f"{run_dir}.stderr{worker}").read_text()


def _child(
    config,
    run_dir,
    trouble,
    every=3,
    strategy="auto",
    tf_config="",
    cpus=1,
    gpus=0,
    before=None,
    tensorboard=False,
):
    worker = json.loads(tf_config)["task"]["index"] if tf_config else ""
    with open(f"{run_dir}.stderr{worker}", "w") as file:
        os.dup2(file.fileno(), 2)
    if tf_config:
        os.environ["TF_CONFIG"] = tf_config
    if cpus > 1:
        split("CPU", cpus)
    if gpus:
        split("GPU", gpus, memory_limit=2048)
    if before:
        before()
    if trouble:
        trouble[0](*trouble[1:])

    def command():
        train.train(
            config,
            run_dir,
            strategy=strategy,
            checkpoint_every=every,
            verbose=0,
            tensorboard=tensorboard,
        )

    sys.exit(cli.run(command))


def observe(*observers):
    """Has all runs that this process begins from now on call these callbacks,
    those of a command, too."""
    work = train.train

    def observed(*arguments, callbacks=(), **named):
        callbacks = [*callbacks, *observers]
        return work(*arguments, callbacks=callbacks, **named)

    train.train = observed


def fail_after(step):
    """A callback that raises after the `step`-th step of this process."""

    def work(done):
        if done == step:
            raise ZeroDivisionError

    return AfterStep(work)


class AfterStep(keras.callbacks.Callback):
    """Calls `work` with the number of each step of this process."""

    def __init__(self, work):
        super().__init__()
        self.work = work
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self.work(self.steps)


def split(kind, parts, **each):
    """Has TensorFlow see so many devices in the place of the one of a kind;
    call it before it computes. `each` may have megabytes of memory."""
    import tensorflow as tf

    [device] = tf.config.list_physical_devices(kind)
    tf.config.set_logical_device_configuration(
        device, [tf.config.LogicalDeviceConfiguration(**each)] * parts
    )


def signal_at_step(step, *signums):
    """The process gets these signals right after its `step`-th step."""

    def work(done):
        for signum in signums if done == step else ():
            os.kill(os.getpid(), signum)

    observe(AfterStep(work))


def kill_in_training(seconds):
    """SIGKILL so long after the process's first step."""
    kill = functools.partial(os.kill, os.getpid(), signal.SIGKILL)

    def work(done):
        if done == 1:
            threading.Timer(seconds, kill).start()

    observe(AfterStep(work))


def weigh_at_steps(every, path):
    """Appends the process's memory in use, in bytes, to the file `path` after
    every so many steps."""

    def work(done):
        if done % every == 0:
            pages = Path("/proc/self/statm").read_text().split()[1]
            with open(path, "a") as file:
                print(int(pages) * resource.getpagesize(), file=file)

    observe(AfterStep(work))


def fail_at_step(step):
    """The process meets an error right after its `step`-th step."""

    def work(done):
        if done == step:
            raise RuntimeError("a defect")

    observe(AfterStep(work))


def kill_while_writing(name, moment):
    """SIGKILL as the file or folder called `name` (or that ends so) is
    written: `"begun"` and half there, `"written"` whole but under its
    temporary name, or just `"renamed"`."""
    replace = os.replace

    def killing_replace(source, target):
        if not str(target).endswith(name):
            return replace(source, target)
        if moment == "begun":
            for part in (source, *source.rglob("*")):
                if part.is_file():
                    os.truncate(part, part.stat().st_size // 2)
        if moment == "renamed":
            replace(source, target)
        os.kill(os.getpid(), signal.SIGKILL)

    os.replace = killing_replace


def pause_while_writing(name, seconds, announce):
    """Creates the file `announce` and sleeps before `name` is renamed."""
    replace = os.replace

    def pausing_replace(source, target):
        if str(target).endswith(name):
            announce.touch()
            time.sleep(seconds)
        replace(source, target)

    os.replace = pausing_replace


def small_files(name, calls, size):
    """From the `calls`-th call of `name`, a function of the package, no file
    may grow beyond `size` bytes, as under a quota."""
    module, _, function = name.rpartition(".")
    module = importlib.import_module(f"keras_mnist_sum.{module}")
    work, left = getattr(module, function), iter(range(calls - 1, -1, -1))

    def limited(*arguments, **named):
        if next(left) == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return work(*arguments, **named)

    setattr(module, function, limited)
