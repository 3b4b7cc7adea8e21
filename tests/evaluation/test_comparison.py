"""Runs are grouped by recipe, and compared on the same images."""

import csv
import dataclasses
import io
import shutil

import keras
import numpy as np
import pytest

from keras_mnist_sum import presets
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation import comparison
from keras_mnist_sum.evaluation import comparison_table
from keras_mnist_sum.evaluation.evaluate import evaluate
from keras_mnist_sum.evaluation.statistics import paired_test
from keras_mnist_sum.formats import keras_file
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.reporting.comparison_plot import save_comparison

SMALL = dataclasses.replace(
    presets.get("fast").config, width=4, precision="float32"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two seeds of one recipe and one of another, all untrained."""
    paths = []
    for seed, head in ((0, "table"), (1, "table"), (0, "exact")):
        run = Run(tmp_path_factory.mktemp("runs") / f"{head}{seed}")
        run.path.mkdir()
        config = dataclasses.replace(SMALL, seed=seed, head=head)
        run.config.write_text(config.to_json())
        keras.utils.set_random_seed(seed)
        keras_file.write(build_model(config), run.model)
        paths.append(run.path)
    return paths


@pytest.fixture(scope="module")
def groups(runs, digits):
    return comparison.compare([open_model(x) for x in runs], *digits)


def test_runs_that_differ_by_their_seed_alone_are_a_group(groups, runs):
    assert [group.settings for group in groups] == [
        {"head": "table"},
        {"head": "exact"},
    ]
    assert groups[0].paths == tuple(runs[:2])
    table = comparison_table.table(groups).splitlines()
    assert table[:3] == ["A  head table", "B  head exact", ""]
    assert table[3].endswith("p")
    assert table[4].startswith("A  2  ") and table[5].startswith("B  1  ")


def test_preset_stands_for_its_settings(groups):
    """And other settings follow it, in lines that fit the terminal."""

    def group(**settings):
        return dataclasses.replace(groups[0], settings=settings)

    preset = presets.get("accurate").config.to_dict()
    whole = group(preset="accurate", steps=9_375, width=preset["width"])
    changed = group(
        preset="fast",
        width=12,
        loss_weights={"sum": 2.0, "digit": 0.5},
        initial_weights=64 * "0",
    )
    assert whole.name == "preset accurate"
    assert changed.name.startswith(
        "preset fast, width 12, loss weights sum=2,digit=0.5, initial weights 0"
    )
    table = comparison_table.table([whole, changed], 60)
    assert max(map(len, table.split("\n   n")[0].splitlines())) < 60


def test_single_group_has_no_column_for_a_comparison(groups):
    table = comparison_table.table(groups[:1]).splitlines()
    assert table[2].endswith("interval")
    assert "McNemar" not in " ".join(table)


def test_figures_are_those_of_each_model_alone(groups, runs, digits):
    alone = [evaluate(path, digits) for path in runs]
    for output in ("digit", "sum", "difference", "all"):
        found = groups[0].accuracies(output)
        expected = [x.accuracy()[output] for x in alone[:2]]
        assert found.tolist() == pytest.approx(expected)
    assert groups[1].interval("sum") == pytest.approx(alone[2].interval["sum"])
    rows = list(csv.DictReader(io.StringIO(comparison_table.to_csv(groups))))
    assert len(rows) == 8
    row = next(x for x in rows if x["group"] == "A" and x["output"] == "sum")
    each = [x.accuracy()["sum"] for x in alone[:2]]
    assert float(row["accuracy_mean"]) == pytest.approx(np.mean(each))
    assert float(row["accuracy_std"]) == pytest.approx(np.std(each, ddof=1))
    losses = [x.negative_log_likelihood["sum"] for x in alone[:2]]
    assert float(row["negative_log_likelihood"]) == pytest.approx(
        np.mean(losses)
    )


def test_groups_are_compared_by_images_that_are_right(groups):
    right = groups[0].images_right("digit")
    assert set(right) <= {0.0, 0.5, 1.0}
    assert groups[1].p_value("digit", groups[0]) == paired_test(
        groups[1].images_right("digit"), right
    )


def test_model_that_is_no_run_is_a_group_of_its_own(runs, digits):
    models = [runs[2] / "model.keras", runs[0]]  # as paths, too
    groups = comparison.compare(models, *digits)
    assert groups[0].settings == {"path": str(runs[2] / "model.keras")}
    assert groups[1].settings["preset"] == "fast"


def test_models_in_memory_are_groups_of_their_own(digits):
    models = [build_model(Config(width=2, seed=seed)) for seed in (0, 1)]
    first, second = comparison.compare(models, *digits)
    assert first.settings != second.settings
    assert 0 <= second.p_value("sum", first) <= 1


def test_rejects_the_same_model_twice_and_the_same_seed(runs, digits, tmp_path):
    for other in (runs[0], runs[0] / "model.keras"):
        with pytest.raises(InputError, match="named once.*twice"):
            comparison.compare([runs[0], other], *digits)
    shutil.copytree(runs[0], tmp_path / "copy")
    with pytest.raises(InputError, match="differ by their seed.*seed 0"):
        comparison.compare([runs[0], tmp_path / "copy"], *digits)
    with pytest.raises(InputError, match="Received: none"):
        comparison.compare([], *digits)


def test_picture_has_a_panel_an_output(groups, tmp_path):
    save_comparison(tmp_path / "c.png", groups)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
