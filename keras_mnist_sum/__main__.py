"""`python -m keras_mnist_sum COMMAND`: see `--help`."""

import argparse
import dataclasses
import sys
from pathlib import Path

from keras_mnist_sum.commands import cli
from keras_mnist_sum.distribution import launcher
from keras_mnist_sum.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    parser = cli.ArgumentParser(prog="python -m keras_mnist_sum")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    _add_show_data(commands)
    _add_predict(commands)
    _add_demo(commands)
    _add_launch(commands)
    _add_export(commands)
    values = parser.parse_args(arguments)
    return cli.run(lambda: values.run(values))


def _add_show_data(commands: argparse._SubParsersAction) -> None:
    show = commands.add_parser(
        "show-data",
        help="draw a training batch, as the model gets it",
        description="Draws images of a training batch, warped as the model "
        "gets them, with their numbers and targets. A batch is a function of "
        "config, data and step: it is the one that such a run trains on.",
    )
    show.set_defaults(run=_show_data)
    add = show.add_argument
    add(
        "target",
        nargs="?",
        type=Path,
        metavar="RUN",
        help="a run directory: its config and data (default: those of a "
        "preset)",
    )
    add(
        "--preset",
        metavar="NAME",
        help="the config to start from (default: residual)",
    )
    add(
        "--data",
        metavar="SOURCE",
        help="where MNIST comes from, as in train.py (default: as in the run; "
        "auto for a preset)",
    )
    add(
        "--data-dir",
        metavar="DIR",
        help="tensorflow-datasets folder (default: the run's; else "
        "$TFDS_DATA_DIR, else ~/tensorflow_datasets)",
    )
    add(
        "--steps",
        type=int,
        metavar="N",
        help="steps of the whole run: over its last ones the warps fade",
    )
    add("--batch-size", type=int, metavar="N", help="examples in a batch")
    add(
        "--seed",
        type=int,
        metavar="N",
        help="decides which images, numbers and warps",
    )
    add(
        "--difference",
        metavar="absolute|signed",
        help="|digit - number|, or digit - number from -9 to 9",
    )
    add(
        "--step",
        type=int,
        default=0,
        metavar="K",
        help="which batch, from 0 (default: %(default)s)",
    )
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="the PNG file to write (default: batch-K.png)",
    )


def _show_data(values: argparse.Namespace) -> None:
    from keras_mnist_sum import presets
    from keras_mnist_sum.config import Config
    from keras_mnist_sum.errors import InputError
    from keras_mnist_sum.formats import run_directory
    from keras_mnist_sum.utils import atomic_files

    if values.target and values.preset:
        raise InputError(
            "A run has a preset of its own. "
            f"Received: {str(values.target)!r} and --preset {values.preset}"
        )
    config = (
        Config.from_json(
            atomic_files.read_text(values.target / run_directory.CONFIG)
        )
        if values.target
        else presets.get(values.preset or presets.DEFAULT).config
    )
    names = ("steps", "batch_size", "seed", "difference")
    changes = {name: getattr(values, name) for name in names}
    config = dataclasses.replace(
        config, **{k: v for k, v in changes.items() if v is not None}
    )
    path = values.out or Path(f"batch-{values.step}.png")
    atomic_files.check_file(path)
    from keras_mnist_sum.utils.quiet import import_tensorflow

    import_tensorflow()
    from keras_mnist_sum.commands import show_data
    from keras_mnist_sum.formats import open

    show_data.check_step(config, values.step)
    mnist = open.load_data(config, values.data, values.data_dir)
    print(show_data.show_data(mnist, config, values.step, path))


def _add_predict(commands: argparse._SubParsersAction) -> None:
    predict = commands.add_parser(
        "predict",
        help="read digits in pictures, and add and subtract a number",
        description="Prints a line for each picture: the digit that is drawn "
        "there, its sum with the number, and their difference.",
    )
    predict.set_defaults(run=_predict)
    add = predict.add_argument
    add(
        "pictures",
        nargs="+",
        type=Path,
        metavar="PICTURE",
        help="a picture of one digit, in any colours, or a folder of them",
    )
    add("--number", required=True, type=int, metavar="N", help="0 to 9")
    add(
        "--model",
        type=Path,
        metavar="TARGET",
        help="a run directory, a .keras, .onnx or .tflite file or a SavedModel "
        "directory (default: the model that comes with the package)",
    )
    add("--json", action="store_true", help="a JSON object in each line")
    add(
        "--show",
        type=Path,
        metavar="DIR",
        help="draw there, for each picture, what the model saw and its three "
        "distributions",
    )


def _predict(values: argparse.Namespace) -> int:
    from keras_mnist_sum.commands import predict

    return predict.predict(
        values.pictures, values.number, values.model, values.json, values.show
    )


def _add_demo(commands: argparse._SubParsersAction) -> None:
    server = commands.add_parser(
        "demo",
        help="a page to draw a digit on, and see the three answers",
        description="Serves a page on which to draw a digit or drop a photo, "
        "to pick a number and to see the three answers while drawing.",
    )
    server.set_defaults(run=_demo)
    add = server.add_argument
    add(
        "--model",
        type=Path,
        metavar="TARGET",
        help="as for predict (default: the model that comes with the package)",
    )
    add(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where to listen; 0.0.0.0 lets everybody in who can reach this "
        "machine (default: %(default)s)",
    )
    add(
        "--port",
        type=int,
        metavar="PORT",
        help="default: the first free one from 8028 on",
    )
    add("--open", action="store_true", help="open the page in a browser")


def _demo(values: argparse.Namespace) -> None:
    from keras_mnist_sum.demo import server

    server.demo(values.model, values.host, values.port, values.open)


def _add_launch(commands: argparse._SubParsersAction) -> None:
    launch = commands.add_parser(
        "launch",
        help="train in several processes on this machine",
        description="Starts several processes that train together and watches "
        "them: when one fails, all go on again from the newest checkpoint.",
        usage="python -m keras_mnist_sum launch --workers N [--max-restarts R] "
        "[--timeout S] -- train.py --run-dir DIR ...",
    )
    launch.set_defaults(run=_launch)
    add = launch.add_argument
    add(
        "--workers",
        type=int,
        required=True,
        metavar="N",
        help="how many processes train together",
    )
    add(
        "--max-restarts",
        type=int,
        default=3,
        metavar="R",
        help="how often all may be started again (default: %(default)s)",
    )
    add(
        "--timeout",
        type=float,
        default=300.0,
        metavar="S",
        help="seconds in which a worker must get a step done, or start, or "
        "score the model (default: %(default).0f)",
    )
    add("program", nargs="+", help="a Python program and its arguments")


def _launch(values: argparse.Namespace) -> int:
    return launcher.launch(
        values.program, values.workers, values.max_restarts, values.timeout
    )


def _add_export(commands: argparse._SubParsersAction) -> None:
    export = commands.add_parser(
        "export",
        help="write a model for TensorFlow Serving, LiteRT or ONNX Runtime",
        description="Writes a Keras model in another format, and compares it "
        "there with Keras before it gets its name.",
    )
    export.set_defaults(run=_export)
    add = export.add_argument
    add(
        "target",
        nargs="?",
        type=Path,
        metavar="TARGET",
        help="a run directory or a .keras file (default: the newest run in "
        "runs/; without one, the model that comes with the package)",
    )
    add(
        "--format",
        required=True,
        choices=("saved_model", "litert", "onnx"),
        help="write DIR/saved_model/1, DIR/model.tflite or DIR/model.onnx",
    )
    add("--out", required=True, type=Path, metavar="DIR", help="where to write")
    add(
        "--quantize",
        action="store_true",
        help="write DIR/model_int8.tflite instead, less than a third as "
        "large: its convolutions compute in int8 (litert alone)",
    )
    add(
        "--data",
        metavar="SOURCE",
        help="whose training images tell --quantize the ranges, as in train.py "
        "(default: those of the run; auto for a model without a run)",
    )
    add(
        "--data-dir",
        metavar="DIR",
        help="tensorflow-datasets folder (default: the run's; else "
        "$TFDS_DATA_DIR, else ~/tensorflow_datasets)",
    )


def _export(values: argparse.Namespace) -> None:
    if not values.quantize and (values.data or values.data_dir):
        raise InputError(
            "--data and --data-dir say whose images --quantize takes. "
            f"Received: {values.data or values.data_dir!r} without --quantize"
        )
    from keras_mnist_sum.utils.quiet import import_tensorflow

    import_tensorflow()
    from keras_mnist_sum.formats import export
    from keras_mnist_sum.formats import open

    # Before anything is loaded: it may refuse.
    export.destination(values.out, values.format, values.quantize)
    path, model = open.open_model(values.target)
    images = None
    if values.quantize:
        config = open.config_near(path)
        mnist = open.load_data(config, values.data, values.data_dir)
        images = mnist.train_images
        print(
            f"ranges   of {export.CALIBRATION_IMAGES} training images of "
            f"{mnist.description}"
        )
    exported = export.export(model, values.out, values.format, images)
    print(
        f"written  {exported.path}, {exported.size:,} bytes\n"
        f"checked  against {path} on {exported.pairs:,} pairs: off by "
        f"{exported.difference:.1g} at most, {100 * exported.agreement:.1f} % "
        "of answers the same"
    )


if __name__ == "__main__":
    sys.exit(main())
