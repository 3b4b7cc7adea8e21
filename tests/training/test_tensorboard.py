"""TensorBoard's own reader, on what runs wrote for it."""

import csv
import importlib.util
import io
import json
import re
import signal

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.backend.event_processing import plugin_event_multiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as custom_scalars
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler
from tensorboard.util import tensor_util

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.task import Task
from keras_mnist_sum.training import train as training
from keras_mnist_sum.training.callbacks import history as history_callback
from keras_mnist_sum.training.callbacks import tensorboard
from keras_mnist_sum.training.state import RunState
from keras_mnist_sum.utils import atomic_files
from tests import interrupted


@pytest.fixture(scope="module")
def config(digits, tmp_path_factory):
    """40 images to train on and 10 for validation; epochs of 5, 5, 2 steps."""
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


def read_run(run_dir):
    """Of the one run that TensorBoard finds there."""
    folder = Run(run_dir).tensorboard
    assert list(multiplexer(run_dir).Runs()) == [folder.name]
    return read(folder)


def multiplexer(folder):
    found = plugin_event_multiplexer.EventMultiplexer()
    return found.AddRunsFromDirectory(str(folder)).Reload()


def history(run_dir):
    with open(Run(run_dir).history) as file:
        rows = list(csv.DictReader(file))
    return [{k: float(v) for k, v in row.items()} for row in rows]


def weights(run_dir):
    return load_model(Run(run_dir).model).get_weights()


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    training.train(
        config, run_dir, checkpoint_every=3, verbose=0, tensorboard=True
    )
    return run_dir


def test_tensorboard_reads_what_the_history_has(config, whole):
    found, rows = read_run(whole), history(whole)
    assert [row["step"] for row in rows] == [5, 10, 12]
    for name in Task.named():
        for kind in ("loss", "accuracy"):
            tag, column = f"{kind}/{name}", f"{name}_{kind}"
            train = found[f"{tag}/train"]
            assert [step for step, _ in train] == list(range(1, 13))
            values = np.array([value for _, value in train])
            for row, part in zip(rows, np.split(values, [5, 10])):
                assert part.mean() == pytest.approx(row[column], abs=1e-5)
            validation = found[f"{tag}/validation"]
            assert [step for step, _ in validation] == [5, 10, 12]
            for row, (_, value) in zip(rows, validation):
                assert value == pytest.approx(row[f"val_{column}"])
    rates = dict(found["learning_rate"])
    for row in rows:
        assert rates[row["step"]] == pytest.approx(row["learning_rate"])


def test_final_scores_stand_on_the_page_of_hyperparameters(whole):
    """As its own code lists them, beside the config of the run."""
    provider = data_provider.MultiplexerDataProvider(multiplexer(whole), "")
    context = Context(TBContext(data_provider=provider))
    [group] = (
        Handler(
            RequestContext(),
            context,
            "",
            api_pb2.ListSessionGroupsRequest(
                allowed_statuses=[api_pb2.STATUS_SUCCESS],
                slice_size=9,
                col_params=[
                    api_pb2.ColParams(metric=api_pb2.MetricName(tag=tag))
                    for tag in ("test_accuracy/sum", "validation_accuracy/all")
                ],
            ),
        )
        .run()
        .session_groups
    )
    assert group.hparams["steps"].number_value == 12
    shown = {x.name.tag: x.value for x in group.metric_values}
    results = Run(whole).read_results()
    for kind, scores in (
        ("test", results),
        ("validation", results["validation"]),
    ):
        for name, share in scores["accuracy"].items():
            assert shown[f"{kind}_accuracy/{name}"] == pytest.approx(share)


def test_training_and_validation_share_charts(whole):
    tags = read_run(whole)
    [(_, text)] = tags[custom_scalars.CONFIG_SUMMARY_TAG]
    layout = layout_pb2.Layout.FromString(text.item())
    lines = {
        chart.title: chart.multiline.tag
        for category in layout.category
        for chart in category.chart
    }
    for title in ("loss/total", "loss/sum", "accuracy/digit"):
        [line] = lines[title]
        drawn = {tag for tag in tags if re.match(line, tag)}
        assert drawn == {f"{title}/train", f"{title}/validation"}


@pytest.mark.slow
def test_long_run_has_a_point_for_some_steps(config, tmp_path, monkeypatch):
    monkeypatch.setattr(history_callback, "POINTS", 4)
    training.train(
        config, tmp_path, checkpoint_every=3, verbose=0, tensorboard=True
    )
    points = read_run(tmp_path)["loss/total/train"]
    assert [step for step, _ in points] == [3, 5, 6, 9, 10, 12]


def test_points_are_means_since_the_one_before():
    points = [
        {"step": 3, "done": 3, "learning_rate": 0.1, "loss": 2.0},
        {"step": 5, "done": 5, "learning_rate": 0.2, "loss": 3.0},
    ]
    points.append({"step": 7, "done": 2, "loss": 1.0})  # of the next epoch
    first, second, third = history_callback.means_between(points)
    assert first["loss"] == 2.0  # of the steps 1 to 3
    assert second["loss"] == pytest.approx(4.5)  # of the steps 4 and 5
    assert (second["step"], second["learning_rate"]) == (5, 0.2)
    assert third == {"step": 7, "loss": 1.0}  # of the steps 6 and 7


def test_pictures_and_config_are_there(config, whole):
    train = read_run(whole)
    for tag in ("samples", "tables/sum", "tables/difference"):
        assert [step for step, _ in train[tag]] == [5, 10, 12]
        last = train[tag][-1][1]  # width, height, PNG
        picture = Image.open(io.BytesIO(last[2]))
        assert picture.size == (int(last[0]), int(last[1]))
        assert len(picture.getcolors(10**6)) > 20
    found = event_accumulator.EventAccumulator(
        str(Run(whole).tensorboard)
    ).Reload()
    metadata = found.SummaryMetadata("_hparams_/session_start_info")
    content = plugin_data_pb2.HParamsPluginData.FromString(
        metadata.plugin_data.content
    )
    values = content.session_start_info.hparams
    assert set(values) == set(vars(config))
    assert values["steps"].number_value == 12
    assert values["backbone"].string_value == "dropout"
    [(_, text)] = train["config"]
    written = json.loads(Run(whole).config.read_text())
    assert json.loads(text.item()) == written


@pytest.mark.slow
def test_watching_changes_no_bit(config, whole, tmp_path):
    """Not even that of a dropout's random state."""
    training.train(config, tmp_path / "plain", checkpoint_every=3, verbose=0)
    assert not Run(tmp_path / "plain").tensorboard.exists()
    for mine, other in zip(
        weights(whole), weights(tmp_path / "plain"), strict=True
    ):
        assert mine.tobytes() == other.tobytes()
    steps = [Run(x).steps.read_text() for x in (whole, tmp_path / "plain")]
    assert steps[0] == steps[1]


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
    found, expected = read_run(run_dir), read_run(whole)
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
    found = read_run(run_dir)
    for tag in ("loss/sum/train", "learning_rate"):
        assert [step for step, _ in found[tag]] == list(range(1, 13))
    for tag in ("loss/sum/validation", "tables/sum"):
        assert [step for step, _ in found[tag]] == [5, 10, 12]


@pytest.fixture
def summaries(config, digits, tmp_path):
    """The callback, as a run has it when its first epoch is done."""
    images, labels = digits
    row = {"epoch": 1, "step": 5, "loss": 3.0, "digit_loss": 1.0}
    row["learning_rate"] = 0.5
    return tensorboard.WriteSummaries(
        folder=tmp_path,
        config=config,
        images=images,
        labels=labels,
        state=RunState(12, 5, step=5, history=[row]),
    )


def test_full_disk_is_one_line(summaries, monkeypatch):
    """Not taken for a device without memory, as TensorFlow calls it."""

    def full(folder):
        raise tf.errors.ResourceExhaustedError(
            None, None, f"{folder}/events; No space left on device"
        )

    monkeypatch.setattr(tf.summary, "create_file_writer", full)
    with pytest.raises(InputError, match="Cannot write.*No space left"):
        summaries.on_train_begin()


def test_files_after_the_last_checkpoint_are_removed(summaries, tmp_path):
    """And an epoch without files, as of a run that was not watched before,
    gets the means that its history has."""
    for epoch in (2, 3):
        path = tmp_path / f"events.out.tfevents.epoch-{epoch:06}"
        atomic_files.write_text(path, "")
    summaries.on_train_begin()
    found = read(tmp_path)
    curves = {x: found[x] for x in found if x.startswith(("loss", "learning"))}
    assert curves == {
        "loss/total/train": [(5, 3.0)],
        "loss/digit/train": [(5, 1.0)],
        "learning_rate": [(5, 0.5)],
    }


@pytest.mark.slow
def test_outputs_of_another_task_are_shown(config, tmp_path):
    """With names, values and an order of its own."""
    task = Task(is_even=lambda d, n: d % 2 == 0, digit=lambda d, n: d)
    training.train(config, tmp_path, task=task, tensorboard=True, verbose=0)
    tags = {"loss/is_even/train", "accuracy/digit/train", "tables/is_even"}
    assert tags <= set(read_run(tmp_path))


def test_missing_tensorboard_is_one_line_before_any_work(
    config, tmp_path, monkeypatch
):
    def find_spec(name, package=None):
        return None if name == "tensorboard" else pytest.fail(name)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(InputError, match="pip install.*Received:"):
        training.train(config, tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()
