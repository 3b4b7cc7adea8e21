"""What each head can express, and what it did: the figures of `docs/heads.md`.

    python -m benchmarks.heads TITLE=RUN [TITLE=RUN ...]

Draws `docs/heads.png` from run directories, and counts in
`benchmarks/results/additive.json` what one linear layer on a digit and a
number can answer even where it is told the digit.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize
from scipy.special import log_softmax

from keras_mnist_sum.commands import cli
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.task import DIFFERENCES
from keras_mnist_sum.task import Output
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.quiet import import_tensorflow

ROOT = Path(__file__).resolve().parent.parent
STEPS = (938, 2_000, 5_000, 13_125)  # 1 epoch ... 14 epochs of batch 64


def additive(output: Output) -> dict:
    """Fits a linear layer on digit and number, both one-hot: 100 examples.

    Its loss is convex, so its optimum is what the layer can do at best.

    Returns:
        The cross-entropy and the right cells at the optimum, and the right
        cells after some steps of SGD on sampled pairs (rate 0.01, momentum
        0.9, batch 64, mean of 10 seeds).
    """
    digit, number = np.divmod(np.arange(100), 10)
    features = np.eye(20)[digit] + np.eye(20)[10 + number]  # (100, 20)
    classes = output.table.ravel()
    targets = np.eye(output.num_classes)[classes]

    def loss_and_gradient(
        flat: np.ndarray, pairs: np.ndarray | slice = slice(None)
    ) -> tuple[float, np.ndarray]:
        x, y = features[pairs], targets[pairs]
        scores = log_softmax(x @ flat.reshape(20, -1), axis=1)
        gradient = x.T @ (np.exp(scores) - y) / len(x)
        loss = -np.mean(np.sum(y * scores, axis=1))
        return float(loss), gradient.ravel()

    def right(flat: np.ndarray) -> int:
        scores = features @ flat.reshape(20, -1)
        return int((scores.argmax(axis=1) == classes).sum())

    size = 20 * output.num_classes
    best = minimize(
        loss_and_gradient,
        np.zeros(size),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 20_000, "ftol": 1e-15, "gtol": 1e-10},
    )
    counts: dict[int, list[int]] = {step: [] for step in STEPS}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        flat, velocity = rng.uniform(-1, 1, size) / np.sqrt(20), np.zeros(size)
        for step in range(1, STEPS[-1] + 1):
            _, gradient = loss_and_gradient(flat, rng.integers(0, 100, 64))
            velocity = 0.9 * velocity - 0.01 * gradient
            flat = flat + velocity
            if step in counts:
                counts[step].append(right(flat))
    return {
        "loss_at_optimum": float(best.fun),
        "right_cells_at_optimum": right(best.x),
        "right_cells_after_sgd": {
            step: float(np.mean(values)) for step, values in counts.items()
        },
    }


def predictions_of(run: Path) -> Predictions:
    """What a run predicts for its test images."""
    from keras_mnist_sum.evaluation.evaluate import predict_all_pairs

    opened = open_model(run)
    config = opened.config or Config()
    mnist = load_mnist(config.data, config.data_dir, test_only=True)
    return predict_all_pairs(opened, mnist.test_images, mnist.test_labels)


def draw(runs: dict[str, Path], path: Path) -> None:
    columns = len(runs)
    figure = Figure(figsize=(3.9 * columns, 8.2), dpi=100)
    grid = figure.subplots(2, columns, sharex=True, sharey=True, squeeze=False)
    for column, (title, run) in enumerate(runs.items()):
        predictions = predictions_of(run)
        for row, name in enumerate(("sum", "difference")):
            axes = grid[row, column]
            common = predictions.most_common(name)
            share = predictions.share_correct(predictions.correct[name])
            drawn = axes.imshow(100 * share, cmap="cividis", vmin=0, vmax=100)
            cells = (common == predictions.task[name].pair_values).sum()
            axes.set_title(
                f"{title}: {name}\n{cells} of 100 answers right",
                fontsize=11,
            )
            axes.set_xticks(range(10))
            axes.set_yticks(range(10))
            for digit, number in np.ndindex(10, 10):
                axes.text(
                    number,
                    digit,
                    int(common[digit, number]),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if share[digit, number] < 0.5 else "k",
                )
    for axes in grid[:, 0]:
        axes.set_ylabel("digit")
    for axes in grid[-1]:
        axes.set_xlabel("number")
    figure.tight_layout(rect=(0, 0, 0.92, 1))
    bar = figure.add_axes((0.93, 0.12, 0.012, 0.76))
    figure.colorbar(drawn, cax=bar, label="right answers, %")
    figure.savefig(path)


def titled_run(text: str) -> tuple[str, Path]:
    title, equals, run = text.partition("=")
    if not (title and equals and run):
        raise argparse.ArgumentTypeError(f"no title or no run: {text!r}")
    return title, Path(run)


def main() -> int:
    parser = cli.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=titled_run, metavar="TITLE=RUN")
    pictured = dict(parser.parse_args().runs)

    def command() -> None:
        import_tensorflow()
        draw(pictured, ROOT / "docs" / "heads.png")
        report = {}
        for difference in DIFFERENCES:
            outputs = Task.named(difference=difference)
            report["sum"] = additive(outputs["sum"])
            report[f"{difference} difference"] = additive(outputs["difference"])
        path = ROOT / "benchmarks" / "results" / "additive.json"
        path.write_text(json.dumps(report, indent=2) + "\n")

    return cli.run(command)


if __name__ == "__main__":
    sys.exit(main())
