"""TensorBoard's own reader, on what runs wrote for it."""

import csv
import io
import json
import signal

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.formats.keras_file import load_model
from keras_mnist_sum.training import train as training
from keras_mnist_sum.training.callbacks import tensorboard
from keras_mnist_sum.utils import atomic_files
from tests import interrupted


@pytest.fixture(scope="module")
def config(digits, tmp_path_factory):
    """40 images, 5 steps an epoch, the last epoch shorter; 10 held out."""
    path = tmp_path_factory.mktemp("data") / "mnist.npz"
    images, labels = digits
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    return Config(
        data=str(path),
        backbone="dropout",
        width=4,
        steps=12,
        batch_size=8,
        validation_fraction=0.2,
    )


def read(folder):
    """`{tag: [(step, value)]}` of a folder, in the order of its files."""
    found = event_accumulator.EventAccumulator(
        str(folder), size_guidance={event_accumulator.TENSORS: 0}
    ).Reload()
    return {
        tag: [
            (event.step, tensor_util.make_ndarray(event.tensor_proto))
            for event in found.Tensors(tag)
        ]
        for tag in found.Tags()["tensors"]
    }


def read_all(run_dir):
    folder = run_dir / run_directory.TENSORBOARD
    return {
        name: read(folder / name)
        for name in (tensorboard.TRAIN, tensorboard.HELD_OUT)
    }


def history(run_dir):
    with open(run_dir / run_directory.HISTORY) as file:
        rows = list(csv.DictReader(file))
    return [{k: float(v) for k, v in row.items()} for row in rows]


def weights(run_dir):
    return load_model(run_dir / run_directory.MODEL).get_weights()


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    training.train(config, run_dir, 3, verbose=0, tensorboard=True)
    return run_dir


def test_tensorboard_reads_what_the_history_has(config, whole):
    found, rows = read_all(whole), history(whole)
    assert [row["step"] for row in rows] == [5, 10, 12]
    train, held_out = found[tensorboard.TRAIN], found[tensorboard.HELD_OUT]
    for name in task.outputs():
        for kind in ("loss", "accuracy"):
            tag, column = f"{kind}/{name}", f"{name}_{kind}"
            assert [step for step, _ in train[tag]] == list(range(1, 13))
            values = np.array([value for _, value in train[tag]])
            for row, part in zip(rows, np.split(values, [5, 10])):
                assert part.mean() == pytest.approx(row[column], abs=1e-5)
            assert [step for step, _ in held_out[tag]] == [5, 10, 12]
            for row, (_, value) in zip(rows, held_out[tag]):
                assert value == pytest.approx(row[f"val_{column}"])
    rates = dict(train["learning_rate"])
    for row in rows:
        assert rates[row["step"]] == pytest.approx(row["learning_rate"])


@pytest.mark.slow
def test_long_run_has_a_point_for_some_steps(config, tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "_POINTS", 4)
    training.train(config, tmp_path, 3, verbose=0, tensorboard=True)
    train = read_all(tmp_path)[tensorboard.TRAIN]
    assert [step for step, _ in train["loss/total"]] == [3, 5, 6, 9, 10, 12]


def test_points_are_means_since_the_one_before():
    points = [
        {"step": 3, "done": 3, "learning_rate": 0.1, "loss": 2.0},
        {"step": 5, "done": 5, "learning_rate": 0.2, "loss": 3.0},
    ]
    first, second = tensorboard._between(points)
    assert first["loss"] == 2.0  # of the steps 1 to 3
    assert second["loss"] == pytest.approx(4.5)  # of the steps 4 and 5
    assert (second["step"], second["learning_rate"]) == (5, 0.2)


def test_pictures_and_config_are_there(config, whole):
    train = read(whole / run_directory.TENSORBOARD / tensorboard.TRAIN)
    for tag in ("samples", "tables/sum", "tables/difference"):
        assert [step for step, _ in train[tag]] == [5, 10, 12]
        last = train[tag][-1][1]  # width, height, PNG
        picture = Image.open(io.BytesIO(last[2]))
        assert picture.size == (int(last[0]), int(last[1]))
        assert len(picture.getcolors(10**6)) > 20
    found = event_accumulator.EventAccumulator(
        str(whole / run_directory.TENSORBOARD)
    ).Reload()
    metadata = found.SummaryMetadata("_hparams_/session_start_info")
    content = plugin_data_pb2.HParamsPluginData.FromString(
        metadata.plugin_data.content
    )
    values = content.session_start_info.hparams
    assert set(values) == set(vars(config))
    assert values["steps"].number_value == 12
    assert values["backbone"].string_value == "dropout"
    [(_, text)] = read(whole / run_directory.TENSORBOARD)["config"]
    written = json.loads((whole / run_directory.CONFIG).read_text())
    assert json.loads(text.item()) == written


def test_wrong_cells_of_a_table_are_outlined():
    output = task.outputs()["sum"]
    table = np.eye(output.num_classes)[output.table]
    table[4, 5] = np.roll(table[4, 5], 1)
    axes = tensorboard._draw_table(table, output).axes[0]
    assert axes.get_title() == "sum: 99 of 100 cells right"
    [outline] = axes.patches
    assert outline.get_xy() == (5 - 0.46, 4 - 0.46)  # number 5, digit 4


def test_wrong_samples_say_what_was_right(digits):
    images, labels = digits
    answers = {"digit": [0, 2], "sum": [3, 5], "difference": [3, 1]}
    figure = tensorboard._draw_samples(
        images[:2], labels[:2], [3, 3], answers, "absolute"
    )
    right, wrong = (axes.get_title() for axes in figure.axes)
    assert right == "0 + 3 = 3\n|0 − 3| = 3"
    assert wrong == "2 + 3 = 5\n|2 − 3| = 1\nit is a 1"


def test_watching_changes_no_bit(config, whole, tmp_path):
    """Not even that of a dropout's random state."""
    training.train(config, tmp_path / "plain", 3, verbose=0)
    assert not (tmp_path / "plain" / run_directory.TENSORBOARD).exists()
    for mine, other in zip(
        weights(whole), weights(tmp_path / "plain"), strict=True
    ):
        assert mine.tobytes() == other.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "trouble",
    [
        # Between checkpoints, within an epoch; after the files of an epoch,
        # and before the checkpoint that would count it; while they are made.
        (interrupted.signal_at_step, 8, signal.SIGKILL),
        (interrupted.kill_while_writing, "epoch-000002", "begun"),
        (interrupted.kill_while_writing, "step-000000006.ckpt", "begun"),
        (interrupted.kill_while_writing, "epoch-000002", "renamed"),
    ],
    ids=lambda trouble: "-".join(map(str, trouble[1:])),
)
def test_interrupted_run_shows_each_step_once(config, whole, tmp_path, trouble):
    run_dir = tmp_path / "killed"
    named = dict(every=6, tensorboard=True)
    code = interrupted.run(config, run_dir, *trouble, **named)
    assert code == -signal.SIGKILL
    assert interrupted.run(config, run_dir, **named) == 0
    assert read_all(run_dir).keys() == read_all(whole).keys()
    for name, expected in read_all(whole).items():
        found = read_all(run_dir)[name]
        assert found.keys() == expected.keys()
        for tag in expected:
            assert len(found[tag]) == len(expected[tag])
            for (step, value), (other, same) in zip(found[tag], expected[tag]):
                assert step == other
                assert np.array_equal(value, same), (tag, step)
    names = sorted(str(p.relative_to(run_dir)) for p in run_dir.rglob("*"))
    assert names == sorted(str(p.relative_to(whole)) for p in whole.rglob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_several_replicas_write_once(config, tmp_path, workers):
    """Two in one process, or in a process each, of which the chief writes."""
    run_dir = tmp_path / "run"
    if workers == 1:
        named = dict(strategy="mirrored", cpus=2, tensorboard=True)
        codes = [interrupted.run(config, run_dir, **named)]
    else:
        processes = interrupted.start_workers(
            config, run_dir, workers, tensorboard=True
        )
        for process in processes:
            process.join(300)
        codes = [process.exitcode for process in processes]
    assert codes == [0] * workers
    found = read_all(run_dir)
    for tag in ("loss/sum", "learning_rate"):
        steps = [step for step, _ in found[tensorboard.TRAIN][tag]]
        assert steps == list(range(1, 13))
    for run, tag in (
        (tensorboard.HELD_OUT, "loss/sum"),
        ("train", "tables/sum"),
    ):
        assert [step for step, _ in found[run][tag]] == [5, 10, 12]


def test_full_disk_is_one_line(config, tmp_path, digits, monkeypatch):
    """Not taken for a device without memory, as TensorFlow calls it."""

    def full(folder):
        raise tf.errors.ResourceExhaustedError(
            None, None, f"{folder}/events; No space left on device"
        )

    monkeypatch.setattr(tf.summary, "create_file_writer", full)
    with pytest.raises(InputError, match="Cannot write.*No space left"):
        tensorboard.Summaries(tmp_path, config, *digits, [], [])


def test_what_came_after_the_last_checkpoint_is_taken_back(
    config, tmp_path, digits
):
    """And an epoch without files, as of a run that was not watched before,
    gets the means that its history has."""
    row = {"epoch": 1, "step": 5, "loss": 3.0, "digit_loss": 1.0}
    row["learning_rate"] = 0.5
    for epoch in (2, 3):
        path = (
            tmp_path
            / tensorboard.TRAIN
            / tensorboard._name(f"epoch-{epoch:06}")
        )
        atomic_files.write_text(path, "")
    tensorboard.Summaries(tmp_path, config, *digits, [row], [])
    found = read(tmp_path / tensorboard.TRAIN)
    assert found == {
        "loss/total": [(5, 3.0)],
        "loss/digit": [(5, 1.0)],
        "learning_rate": [(5, 0.5)],
    }


def test_missing_tensorboard_is_one_line_before_any_work(
    config, tmp_path, monkeypatch
):
    def find_spec(name, package=None):
        return None if name == "tensorboard" else pytest.fail(name)

    monkeypatch.setattr(tensorboard.importlib.util, "find_spec", find_spec)
    with pytest.raises(InputError, match="pip install.*Received:"):
        training.train(config, tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()
