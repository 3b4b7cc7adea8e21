"""The page to draw on as a folder of files, for a host that runs nothing.

ONNX Runtime Web (https://onnxruntime.ai/docs/tutorials/web/) computes the
answers in the browser.
"""

import dataclasses
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from keras_mnist_sum.demo.page import page_without_server
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.atomic_files import atomic_write

if TYPE_CHECKING:
    from keras_mnist_sum.formats.any_model import AnyModel
    from keras_mnist_sum.formats.export import Exported

VERSION = "1.30.0"  # of npm's package onnxruntime-web
CDN = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"
_FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
# Where npm puts them.
NODE_MODULES = Path("node_modules/onnxruntime-web/dist")


def destination(
    folder: Path, runtime: Path | None = None
) -> tuple[Path, Path | None]:
    """Where `write_site` writes to, and from where it copies the runtime.

    Args:
        folder: As for `write_site`.
        runtime: Likewise.

    Raises:
        InputError: If something is at `folder`, or `runtime` lacks a file.
    """
    if os.path.lexists(folder):
        raise InputError(
            f"An export is not overwritten. Received: {str(folder)!r}"
        )
    if runtime is None and NODE_MODULES.is_dir():
        runtime = NODE_MODULES
    missing = [x for x in _FILES if runtime and not (runtime / x).is_file()]
    if missing:
        raise InputError(
            "The runtime is the folder `dist` of npm's package "
            f"onnxruntime-web, {VERSION} for example. "
            f"Received: {str(runtime)!r}, without {missing[0]}"
        )
    return folder, runtime


def write_site(
    model: "AnyModel", folder: Path, runtime: Path | None = None
) -> "Exported":
    """Writes a page that answers in the browser, whole, or not at all.

    Args:
        model: As for `formats.export.export`.
        folder: The folder to write, which must not be there: `index.html`,
            `model.onnx` and maybe `runtime/`.
        runtime: The folder `dist` of npm's package onnxruntime-web, of which
            three files are copied. Default: `NODE_MODULES` if it is there; else
            the page loads them from `CDN`.

    Returns:
        The folder, and how well `model.onnx` agrees with `model`.

    Raises:
        InputError: As `destination` and `export`.
    """
    from keras_mnist_sum.formats.any_model import load_model
    from keras_mnist_sum.formats.export import export
    from keras_mnist_sum.models.build import task_of

    folder, runtime = destination(folder, runtime)
    model = load_model(model)
    with atomic_write(folder) as partial:
        exported = export(model, partial, "onnx")
        (partial / "index.html").write_text(
            page_without_server(task_of(model), "runtime/" if runtime else CDN),
            encoding="utf-8",
        )
        if runtime:
            (partial / "runtime").mkdir()
            for name in _FILES:
                shutil.copyfile(runtime / name, partial / "runtime" / name)
    return dataclasses.replace(exported, path=folder)
