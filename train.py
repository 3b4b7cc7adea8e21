"""Trains a model: `python train.py --help`."""

import argparse
import contextlib
import dataclasses
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from keras_mnist_sum import presets
from keras_mnist_sum.commands import cli
from keras_mnist_sum.config import DIGIT_LOSSES
from keras_mnist_sum.config import HEADS
from keras_mnist_sum.config import PRECISIONS
from keras_mnist_sum.config import STRATEGIES
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import Stopped
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.utils import atomic_files


def parse(arguments: list[str] | None) -> tuple[Config, dict[str, Any]]:
    """A config, and the other arguments of `training.train`."""
    default = presets.PRESETS[presets.DEFAULT].config
    parser = cli.ArgumentParser(
        description="Trains a model on MNIST digits and sampled numbers, "
        "scores it once on every\ntest pair, and writes a run directory.",
        epilog="presets:\n"
        + "\n".join(
            f"  {name} ({preset.parameters:,} parameters)\n"
            f"      {preset.description}\n"
            f"      {preset.expected or 'not measured yet'}"
            for name, preset in presets.PRESETS.items()
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--preset",
        default=presets.DEFAULT,
        metavar="NAME",
        help="the config to start from; the flags below change it "
        "(default: %(default)s)",
    )
    add(
        "--data",
        metavar="SOURCE",
        help="where MNIST comes from: tfds, sample (5,000 images, no network "
        "needed), the path of an IDX folder or mnist.npz, or auto: tfds, and "
        f"the sample where that cannot be had (default: {default.data})",
    )
    add(
        "--data-dir",
        metavar="DIR",
        help="tensorflow-datasets folder (default: $TFDS_DATA_DIR, else "
        "~/tensorflow_datasets)",
    )
    add(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="where to write: a new directory, or that of a run that was "
        "interrupted, to go on with it (default: runs/PRESET-DATE-TIME, new)",
    )
    add(
        "--checkpoint-every",
        type=int,
        metavar="N",
        help="steps between checkpoints (default: about 30 seconds)",
    )
    add(
        "--strategy",
        default="auto",
        metavar="|".join(STRATEGIES),
        help="the devices to train on: one (single), all GPUs of this machine "
        "(mirrored), all workers that TF_CONFIG or Slurm names "
        "(multi_worker), or a TPU (tpu) (default: %(default)s: multi_worker "
        "if TF_CONFIG names several workers, else mirrored if there is a GPU, "
        "else single)",
    )
    add(
        "--steps",
        type=int,
        metavar="N",
        help="optimizer steps of the whole run "
        f"(default: the preset's; {default.steps})",
    )
    add(
        "--batch-size",
        type=int,
        metavar="N",
        help="examples in a step, all devices together "
        f"(default: the preset's; {default.batch_size})",
    )
    add(
        "--learning-rate",
        type=float,
        metavar="RATE",
        help="peak learning rate, after warm-up and before the cosine "
        f"(default: the preset's; {default.learning_rate})",
    )
    add(
        "--seed",
        type=int,
        metavar="N",
        help="decides initial weights and all random draws "
        f"(default: {default.seed})",
    )
    add(
        "--deterministic",
        action=argparse.BooleanOptionalAction,
        help="compute only in ways that give the same bits each time on the "
        "same machine, which costs no time to speak of (default: on)",
    )
    add(
        "--precision",
        metavar="|".join(PRECISIONS),
        help="bfloat16 and float16 compute so, with float32 weights: faster "
        "only on hardware made for it, which auto looks for "
        "(default: the preset's)",
    )
    add(
        "--difference",
        metavar="absolute|signed",
        help="|digit - number|, or digit - number from -9 to 9 "
        f"(default: {default.difference})",
    )
    add(
        "--head",
        metavar="|".join(HEADS),
        help="how sum and difference follow from digit and number: a learned "
        "probability table, the exact one, one linear layer (concat), an MLP "
        "on the most likely digit (argmax), or an MLP to values instead of "
        f"probabilities (regression) (default: the preset's; {default.head})",
    )
    add(
        "--supervise",
        metavar="NAMES",
        help="outputs whose labels are used in training, separated by commas "
        f"(default: {default.supervise})",
    )
    add(
        "--digit-loss",
        metavar="|".join(DIGIT_LOSSES),
        help="loss of the digit; the second leaves out the logarithm, by "
        "mistake, in the design behind baseline_regression (default: the "
        f"preset's; {default.digit_loss})",
    )
    add(
        "--verbose",
        type=int,
        default=1,
        metavar="0|1|2",
        help="print warnings alone, a bar and a table, or one line an epoch, "
        "for logs (default: %(default)s)",
    )
    add(
        "--tensorboard",
        action="store_true",
        help="write curves, pictures and the config for TensorBoard, too: "
        "tensorboard --logdir runs",
    )
    values = vars(parser.parse_args(arguments))
    preset = values.pop("preset")
    others = {
        name: values.pop(name)
        for name in (
            *("run_dir", "checkpoint_every", "strategy"),
            *("verbose", "tensorboard"),
        )
    }
    if others["run_dir"] is None and (
        others["strategy"] == "multi_worker" or os.environ.get("TF_CONFIG")
    ):
        raise InputError(
            "Workers share a run directory: name it by --run-dir. "
            "Received: TF_CONFIG or multi_worker, and no --run-dir"
        )
    changes = {name: v for name, v in values.items() if v is not None}
    config = dataclasses.replace(presets.get(preset).config, **changes)
    return config, others


def unfinished(config: Config) -> Path | None:
    """The newest run in `runs/` that began with `config` and did not end."""
    found = []
    for path in run_directory.ROOT.glob(f"*/{run_directory.CONFIG}"):
        if (path.parent / run_directory.RESULTS).is_file():
            continue
        with contextlib.suppress(InputError):
            begun = Config.from_json(atomic_files.read_text(path))
            # A run's own config says where its data was found in the end.
            asked = config.as_begun(begun)
            asked = dataclasses.replace(asked, data_dir=begun.data_dir)
            if _same_data(config.data, begun.data):
                asked = dataclasses.replace(asked, data=begun.data)
            if begun == asked:
                found.append(path)
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    return newest and newest.parent


def _same_data(asked: str, begun: str) -> bool:
    """Whether both are one source, whose path a run keeps absolute."""
    return begun in (asked, str(Path(asked).absolute()))


def main(arguments: list[str] | None = None) -> int:
    def command() -> None:
        config, others = parse(arguments)
        if others["run_dir"] is None:
            made = others["run_dir"] = run_directory.new_run_dir(config.preset)
            try:
                work(config, others)
            finally:
                with contextlib.suppress(OSError):
                    os.removedirs(made)  # If nothing began, it is empty.
        else:
            work(config, others)

    def work(config: Config, others: dict[str, Any]) -> None:
        run_dir = others["run_dir"]
        say = print if others["verbose"] else lambda line: None
        before = unfinished(config)
        if before and before.absolute() != run_dir.absolute():
            say(
                f"note   {before} is the same run, not finished: to go on with "
                f"it, say --run-dir {shlex.quote(str(before))}"
            )
        from keras_mnist_sum.utils.quiet import import_tensorflow

        import_tensorflow()
        from keras_mnist_sum.training.train import train

        try:
            report = train(config, **others)
        except Stopped:
            if os.environ.get("TF_CONFIG"):  # Who started us knows how.
                raise
            flags = sys.argv[1:] if arguments is None else arguments
            if "--run-dir" not in " ".join(flags):
                flags = [*flags, "--run-dir", str(run_dir)]
            say(f"\nto go on: python train.py {shlex.join(flags)}")
            raise
        if report:  # Only the chief of several workers has one.
            say(f"next   python evaluate.py {shlex.quote(str(run_dir))}")

    return cli.run(command)


if __name__ == "__main__":
    sys.exit(main())
