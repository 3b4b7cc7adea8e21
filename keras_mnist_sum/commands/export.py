"""The command `export`: writes a model in another format."""

import argparse

from keras_mnist_sum.commands import cli
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.run_checks import check_clock
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.utils.atomic_files import is_utf8
from keras_mnist_sum.utils.atomic_files import why_not_writable
from keras_mnist_sum.utils.settings import keys_of

HELP = "write a model for TensorFlow Serving, LiteRT or ONNX Runtime"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this command takes."""
    parser.description = (
        "Writes a Keras model in another format, and compares it there with "
        "Keras before it gets its name."
    )
    parser.add_argument(
        "target",
        nargs="?",
        type=cli.path,
        metavar="TARGET",
        help="a run directory or a .keras file (default: the newest run in "
        "runs/; without one, the model that comes with the package)",
    )
    formats = keys_of("FORMATS", "formats/open.py")
    parser.add_argument(
        "--format",
        required=True,
        choices=formats,
        metavar="|".join(formats),
        help="the file to write",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=cli.path,
        metavar="DIR",
        help="where to write",
    )
    parser.add_argument(
        "--quantize",
        action="store_true",
        help="write DIR/model_int8.tflite instead, less than a third as "
        "large: its convolutions compute in int8, within the ranges that they "
        "have on training images (litert alone)",
    )
    cli.add_config_arguments(
        parser, ("data", "data_dir"), "the run's; auto for another model"
    )


def run(values: argparse.Namespace) -> None:
    """Writes and checks the file, and says how well it agrees.

    Raises:
        InputError: If the model or a flag cannot be used.
    """
    if not values.quantize and (values.data or values.data_dir):
        raise InputError(
            "--data and --data-dir say whose images --quantize takes. "
            f"Received: {values.data or values.data_dir!r} without --quantize"
        )
    from keras_mnist_sum.formats.open import FORMATS
    from keras_mnist_sum.formats.open import format_of
    from keras_mnist_sum.formats.open import open_model

    path = values.target
    is_run = path is None or Run(path).has_begun
    if not is_run and format_of(path) != FORMATS["keras"]:
        raise InputError(
            "This takes a Keras model: a run directory or a .keras file. "
            f"Received: {str(path)!r}, which was exported from one"
        )
    from keras_mnist_sum.utils.quiet import import_tensorflow

    import_tensorflow()
    from keras_mnist_sum.formats import export
    from keras_mnist_sum.formats.litert_file import CALIBRATION_IMAGES

    # Before anything is loaded: it may refuse.
    file = export.destination(values.out, values.format, values.quantize)
    if values.format == "keras":
        check_clock()
    why = why_not_writable(file.parent) if is_utf8(file) else "no UTF-8"
    if why:
        raise InputError(
            "--out must be a folder that can be written to. "
            f"Received: --out {str(values.out)!r} ({why})"
        )
    opened = open_model(path)
    images = None
    if values.quantize:
        mnist = cli.load_data(values, opened.config)
        images = mnist.train_images
        print(
            f"ranges   of {CALIBRATION_IMAGES} training images of "
            f"{mnist.description}"
        )
    exported = export.export(
        opened.keras_model, values.out, values.format, images
    )
    print(
        f"written  {cli.quote(exported.path)}, {exported.size:,} bytes\n"
        f"checked  against {cli.quote(opened.path)} on {exported.pairs:,} "
        f"pairs: off by {exported.difference:.1g} at most, "
        f"{100 * exported.agreement:.1f} % of answers the same"
    )
