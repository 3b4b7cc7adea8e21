"""A run that trains its teachers itself."""

import dataclasses
import json
import signal
from types import SimpleNamespace

import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.training.own_teachers import train_own_teachers
from keras_mnist_sum.training.teachers import find_teachers
from keras_mnist_sum.training.teachers import teachers_report
from keras_mnist_sum.training.train import train
from tests import interrupted
from tests.training.test_distillation import TINY
from tests.training.test_distillation import end_of
from tests.training.test_distillation import model_of


@pytest.mark.slow
def test_run_trains_its_own_teachers_first_and_goes_on_among_them(
    npz, tmp_path
):
    """Killed in each of them, and in what it learns from them."""
    config = Config(data=str(npz), train_teachers=2, **TINY)
    assert interrupted.run(config, tmp_path / "whole") == 0
    run_dir = tmp_path / "killed"
    kills: list = [
        (interrupted.kill_while_writing, *written)
        for written in (
            ("environment.json", "begun"),
            ("step-000000003.ckpt", "renamed"),
            ("results.json", "renamed"),
            ("step-000000003.ckpt", "begun"),
        )
    ]
    kills.append((interrupted.signal_at_step, 5, signal.SIGKILL))
    for kill in kills:
        code = interrupted.run(config, run_dir, *kill)
        assert code == -signal.SIGKILL, kill
    assert interrupted.run(config, run_dir) == 0
    for part in ("", "teachers/0", "teachers/1"):
        found, same = end_of(run_dir / part), end_of(tmp_path / "whole" / part)
        assert found == same
        assert not (run_dir / part / "checkpoints").exists()
    results = Run(run_dir).read_results()
    known = [results["training_seconds"]]
    known += [x["training_seconds"] for x in results["teachers"]]
    assert len(known) == 3
    assert results["training_seconds_with_teachers"] == pytest.approx(
        sum(known), abs=0.02
    )
    # Teachers that are given make the same of the model.
    given = dataclasses.replace(config, train_teachers=0)
    paths = [run_dir / "teachers" / name for name in "01"]
    train(given, tmp_path / "given", teachers=paths, verbose=0)
    assert end_of(tmp_path / "given") == end_of(run_dir)
    seeds = {Run(path).read_config().seed for path in [run_dir, *paths]}
    assert len(seeds) == 3


def test_chief_decides_for_all_workers_whether_to_train_a_teacher(tmp_path):
    """Whatever files another sees: the chief may have written since."""
    own, trained, votes = Run(tmp_path / "teachers" / "0"), [], []

    def train_one(run, config):
        trained.append(run.path)
        run.path.mkdir(parents=True, exist_ok=True)
        run.config.write_text(config.to_json())
        model_of(1).save(run.model)
        run.results.write_text("{}")
        for path in (run.overview, run.curves):
            path.touch()

    def train_in_worker(chief_says):
        def vote(flags):
            votes.extend(flags)
            return [chief_says]

        worker = SimpleNamespace(is_chief=False, all_reduce_any=vote)
        config = Config(train_teachers=1, **TINY)
        train_own_teachers(Run(tmp_path), config, None, worker, train_one)

    train_in_worker(chief_says=True)
    assert own.is_finished and len(trained) == 1
    train_in_worker(chief_says=True)
    assert len(trained) == 2
    own.results.unlink()
    train_in_worker(chief_says=False)
    assert len(trained) == 2 and not any(votes)


@pytest.mark.parametrize(
    "results, seconds",
    [
        ({"training_seconds": 2.0}, 2.0),
        (
            {"training_seconds": 2.0, "training_seconds_with_teachers": 9.0},
            9.0,
        ),
        (
            {"training_seconds": 2.0, "training_seconds_with_teachers": None},
            None,
        ),
    ],
)
def test_seconds_of_a_teacher_are_with_those_of_its_own_teachers(
    tmp_path, results, seconds
):
    run = Run(tmp_path)
    run.config.write_text(Config(**TINY).to_json())
    run.results.write_text(json.dumps(results))
    model_of(1).save(run.model)
    report = teachers_report(find_teachers([run.path]), Config(), 1.0)
    assert report["teachers"][0]["training_seconds"] == seconds
    whole = None if seconds is None else seconds + 1
    assert report["training_seconds_with_teachers"] == whole
