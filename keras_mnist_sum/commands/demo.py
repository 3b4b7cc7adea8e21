"""The command `demo`: serves a page to draw digits on."""

import argparse
import threading
import webbrowser

from keras_mnist_sum.commands import checks
from keras_mnist_sum.commands import cli
from keras_mnist_sum.commands.predict import add_model_arguments
from keras_mnist_sum.utils.arguments import as_integer
from keras_mnist_sum.utils.console import waiting

HELP = "serve a page to draw a digit on, and see all outputs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this command takes."""
    parser.description = (
        "Serves a page on which to draw a digit or drop a photo, to pick a "
        "number and to see all outputs of the model while drawing."
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where to listen; 0.0.0.0 lets everybody in who can reach this "
        "machine (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        metavar="PORT",
        help="0 for any free one (default: the first free one from 8028 on)",
    )
    parser.add_argument(
        "--open", action="store_true", help="open the page in a browser"
    )


def run(values: argparse.Namespace) -> None:
    """Serves the page until it is interrupted.

    Raises:
        InputError: If the model cannot be used, the address is not free or a
            package is missing.
    """
    checks.check_difference(values.difference)
    if values.port is not None:
        as_integer(values.port, "port", 0, 2**16 - 1)
    with waiting("reading the model"):
        from keras_mnist_sum.demo.server import make_server
        from keras_mnist_sum.formats.open import format_of
        from keras_mnist_sum.inference.predictor import Predictor

        if values.model and format_of(values.model).tensorflow:
            print(f"model  {cli.quote(values.model)}", flush=True)
        predictor = Predictor.load(values.model, values.difference)
    with make_server(predictor, values.host, values.port) as server:
        print(f"draw at {server.url}  (Ctrl-C ends it)", flush=True)
        if values.open:
            # A browser in this terminal keeps the thread that opens it.
            threading.Thread(
                target=webbrowser.open, args=(server.url,), daemon=True
            ).start()
        server.serve_forever()
