"""How a run learned a table: its pictures in TensorBoard, side by side."""

import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.run_directory import Run


def draw(path: Path, output: str, steps: list[int]) -> Figure:
    """The tables of an output after some steps."""
    from tensorboard.backend.event_processing import event_file_loader

    found, tag = {}, f"tables/{output}"
    for file in Run(path).tensorboard.rglob("*tfevents.epoch-*"):
        for event in event_file_loader.EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if value.tag == tag:
                    _, _, png = value.tensor.string_val
                    found[event.step] = Image.open(io.BytesIO(png))
    if not found:
        raise InputError(
            f"This must be a run with {output} that was trained with "
            f"--tensorboard. Received: {str(path)!r}"
        )
    if missing := [step for step in steps if step not in found]:
        raise InputError(
            f"There are tables of {output} after steps "
            f"{', '.join(map(str, sorted(found)))}. Received: {missing}"
        )
    sheet = np.hstack([found[step].convert("RGB") for step in steps])
    height, width, _ = sheet.shape
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    figure.figimage(sheet)
    return figure
