"""The command `export`: writes a model in another format."""

import argparse

from keras_mnist_sum.commands import checks
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
        choices=(*formats, "web"),
        metavar="|".join((*formats, "web")),
        help="the file to write; web is the page to draw on as a folder for "
        "any host, which answers in the browser",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=cli.path,
        metavar="DIR",
        help="where to write; for web, the folder itself, which must be new",
    )
    parser.add_argument(
        "--quantize",
        nargs="?",
        const="convolutions",
        choices=("convolutions", "all"),
        metavar="all",
        help="write DIR/model_int8.tflite instead, less than a third as "
        "large: its convolutions compute in int8, within the ranges that they "
        "have on training images. `--quantize all` writes "
        "DIR/model_uint8.tflite for microcontrollers: all of it is quantized, "
        "inputs and outputs too, for one pair at a time (litert alone)",
    )
    parser.add_argument(
        "--batch",
        type=int,
        metavar="N",
        help="let it take N pairs at a time, no more and no fewer, as some "
        "small runtimes need it (default: any number; litert and onnx)",
    )
    parser.add_argument(
        "--runtime",
        type=cli.path,
        metavar="DIR",
        help="the folder dist of npm's package onnxruntime-web, to copy for "
        "web (default: node_modules/onnxruntime-web/dist if it is there; else "
        "the page loads it from cdn.jsdelivr.net)",
    )
    cli.add_config_arguments(
        parser, ("data", "data_dir"), "the run's; auto for another model"
    )


def run(values: argparse.Namespace) -> None:
    """Writes and checks the file, and says how well it agrees.

    Raises:
        InputError: If the model or a flag cannot be used.
    """
    web = values.format == "web"
    if web and (values.quantize or values.batch is not None):
        raise InputError(
            "--quantize and --batch are for a file. Received: --format web"
        )
    if values.runtime and not web:
        raise InputError(
            f"--runtime is for --format web. Received: --format {values.format}"
        )
    given = [x for x in (values.data, values.data_dir) if x is not None]
    if given and not values.quantize:
        raise InputError(
            "--data and --data-dir say whose images --quantize takes. "
            f"Received: {given[0]!r} without --quantize"
        )
    from keras_mnist_sum.demo import static_site
    from keras_mnist_sum.formats.destination import destination
    from keras_mnist_sum.formats.open import FORMATS
    from keras_mnist_sum.formats.open import format_of
    from keras_mnist_sum.formats.open import open_model
    from keras_mnist_sum.formats.pretrained import checked_path

    path = values.target
    if (
        path is not None
        and not Run(path).has_begun
        and format_of(path) != FORMATS["keras"]
    ):
        raise InputError(
            "This takes a Keras model: a run directory or a .keras file. "
            f"Received: {str(path)!r}, which was exported from one"
        )
    if path is None:
        newest = Run.newest()
        path = newest.path if newest else checked_path("model.keras")
    checks.check_data(values.data, values.data_dir)
    # Before anything is loaded: it may refuse.
    if web:
        file, runtime = static_site.destination(values.out, values.runtime)
    else:
        file = destination(
            values.out, values.format, values.quantize, values.batch
        )
    if values.format == "keras":
        check_clock()
    why = why_not_writable(file.parent) if is_utf8(file) else "no UTF-8"
    if why:
        raise InputError(
            "--out must be a folder that can be written to. "
            f"Received: --out {str(values.out)!r} ({why})"
        )
    print(f"model    {cli.quote(path)}", flush=True)
    from keras_mnist_sum.utils.quiet import import_tensorflow

    import_tensorflow("`export`")
    from keras_mnist_sum.formats.export import export
    from keras_mnist_sum.formats.litert_file import CALIBRATION_IMAGES

    opened = open_model(path)
    images = None
    if values.quantize:
        mnist = cli.load_data(values, opened.config)
        images = mnist.train_images
        print(
            f"ranges   of {CALIBRATION_IMAGES} training images of "
            f"{mnist.description}"
        )
    if web:
        exported = static_site.write_site(opened.keras_model, file, runtime)
    else:
        exported = export(
            opened.keras_model,
            values.out,
            values.format,
            images,
            values.quantize,
            values.batch,
        )
    print(
        f"written  {cli.quote(exported.path)}, {exported.size:,} bytes\n"
        f"checked  against {cli.quote(opened.path)} on {exported.pairs:,} "
        f"pairs: off by {exported.difference:.1g} at most, "
        f"{100 * exported.agreement:.1f} % of answers the same"
    )
    if web:
        whence = cli.quote(runtime) if runtime else static_site.CDN
        print(
            f"runtime  from {whence}\n"
            f"open     python -m http.server -d {cli.quote(exported.path)}"
        )
