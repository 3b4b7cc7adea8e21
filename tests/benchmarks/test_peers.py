"""The comparison with others: what it concludes, and that it runs."""

import argparse
import json
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import __main__
from benchmarks import harness
from benchmarks.figures import peers_figure
from benchmarks.peers import competitors
from benchmarks.peers import peers
from benchmarks.report import peers as peers_report
from keras_mnist_sum.errors import InputError


def entry(outputs, *runs, ours=False):
    """Of 100 images an epoch; each run is `[(seconds, percent), ...]`."""
    return {
        "command": "python -m benchmarks peers",
        "time": "2026-01-01T00:00:00Z",
        "framework": "Keras",
        "ours": ours,
        "turns": None,
        "outputs": list(outputs),
        "precision": "float32",
        "parameters": 1000,
        "epochs": 2,
        "images_in_an_epoch": 100,
        "runs": [
            {
                "seed": seed,
                "state": "finished",
                "peak_megabytes": 500,
                "points": [
                    {
                        "images": 50 * (i + 1),
                        "seconds": seconds,
                        "core_seconds": 1.5 * seconds,
                        **dict.fromkeys(outputs, percent),
                    }
                    for i, (seconds, percent) in enumerate(run)
                ],
            }
            for seed, run in enumerate(runs)
        ],
    }


@pytest.fixture
def report():
    all_outputs = ("digit", "sum", "difference")
    digit = ("digit",)
    return {
        "python": "3.11",
        "packages": dict.fromkeys(("tensorflow", "keras", "torch"), "1.0"),
        "processor": "a processor",
        "cores": 2,
        "data": "MNIST",
        "competitors": {
            "fast": entry(
                all_outputs,
                [(1.0, 90.0), (2.0, 98.0), (3.0, 99.0), (4.0, 99.1)],
                [(1.0, 90.0), (2.0, 98.0), (5.0, 98.9), (6.0, 99.2)],
                [(1.0, 90.0), (2.0, 98.0), (3.0, 98.5), (4.0, 98.9)],
                ours=True,
            ),
            "hard_argmax": entry(
                all_outputs[:2],
                [(10.0, 97.0), (30.0, 98.0), (59.0, 98.0), (90.0, 97.5)],
            ),
            "mnist_convnet": entry(digit, [(4.0, 98.0), (8.0, 99.0)]),
        },
    }


def test_a_mark_is_reached_at_the_first_scoring_at_or_above_it(report):
    seconds = peers_report.seconds_to(
        report["competitors"]["fast"], "sum", 99.0
    )
    assert seconds == [3.0, 6.0, float("inf")]
    table = peers_report.marks(report)
    assert "| sum | 99.07 | 99.07 | 6.0 s (2 of 3) | never | never |" in table


def test_summary_compares_everyone_in_a_row_each(report):
    table = peers_report.summary(report)
    rows = [
        "| `fast` | Keras | 3 | 99.07 | 99.07 | 6.0 s (2 of 3) | never |  |",
        "| `hard_argmax` | Keras | 1 | 98.00 | 98.00 | never | never "
        "| 15.0 times as fast |",
        "| `mnist_convnet` | Keras | 1 | 99.00 |  | 8.0 s | never |  |",
    ]
    assert table.splitlines()[2:] == rows
    report["competitors"]["hard_argmax"]["runs"][0]["points"][3]["sum"] = 99.9
    assert peers_report.summary(report).splitlines()[3].endswith("| never |")


def test_sums_are_compared_with_the_first_time_that_they_were_best(report):
    (run,) = report["competitors"]["hard_argmax"]["runs"]
    run["points"][1]["sum"] = 97.9  # 98.00 % after 59 s, no longer after 30 s
    row = peers_report.summary(report).splitlines()[3]
    assert row.endswith("| 29.5 times as fast |")


def test_costs_count_whole_epochs_and_leave_out_the_tracing_slice(report):
    fast = report["competitors"]["fast"]
    assert peers_report.epoch_seconds(fast)[:2] == [2.0, 2.0]
    assert peers_report.images_per_second(fast) == pytest.approx(50.0)
    peer = report["competitors"]["hard_argmax"]
    del peer["runs"][0]["points"][2:]
    assert "| 1 | 1 | 30 s | 30 s | 2 |" in peers_report.costs(report)
    peer["images_in_an_epoch"] = 200
    assert "| 0.5 | 1 | 30 s |  | 2 |" in peers_report.costs(report)


def test_turn_in_which_something_else_ran_shows_in_the_costs(report):
    *_, last = report["competitors"]["hard_argmax"]["runs"][0]["points"]
    row = peers_report.costs(report).splitlines()[3]
    assert "| 1.50 (at least 1.50) |" in row
    last["core_seconds"] -= 31.0  # of a turn of 31 seconds
    row = peers_report.costs(report).splitlines()[3]
    assert "| 1.50 (at least 0.50) |" in row


def test_starts_are_counted_by_what_became_of_them(report):
    outputs, every = ("digit", "sum", "difference"), report["competitors"]
    every["baseline_regression"] = starts = entry(
        outputs, *([(10.0, 10.0), (20.0, x)] for x in (11.35, 20.1, 90.0, 9.0))
    )
    starts.update(turns=2, epochs=19)
    starts["runs"][3]["state"] = "diverged"
    del starts["runs"][3]["points"][1:]  # in its first turn
    row = "| `baseline_regression` | Keras | float32 | 1,000 | 1 of 19 "
    table = peers_report.starts(report)
    assert table.splitlines()[2:] == [row + "| 4 | 1 | 2 | 5 |"]
    for make in (peers_report.summary, peers_report.costs, peers_report.marks):
        assert "baseline_regression" not in make(report)


@pytest.mark.parametrize("name", ["cores", "packages", "data"])
def test_results_of_other_circumstances_are_not_added_to(report, name):
    values = argparse.Namespace(only="fast", before=report, path="peers.json")
    facts = {x: report[x] for x in ("cores", "packages", "data")}
    assert peers.stored(values, facts) == report["competitors"]
    with pytest.raises(InputError, match=f"Received: {name}=.*'peers.json'"):
        peers.stored(values, facts | {name: "another"})
    values.only = None  # All are measured: nothing is added.
    assert peers.stored(values, facts | {name: "another"}) == {}


def test_conditions_name_every_command(report):
    text = peers_report.conditions(report)
    assert text.startswith("`python -m benchmarks peers`, 2026-01-01: a proc")
    report["competitors"]["fast"]["command"] += " --only fast"
    assert peers_report.conditions(report).startswith(
        "`python -m benchmarks peers --only fast`, 2026-01-01; "
        "`python -m benchmarks peers`, 2026-01-01: a processor"
    )


@pytest.mark.parametrize("state", ["failed", "running"])
def test_run_that_did_not_get_to_its_end_is_left_out(report, state):
    run = {"seed": 1, "state": state, "points": []}
    report["competitors"]["mnist_convnet"]["runs"].append(run)
    assert "| 1 |" in peers_report.costs(report).splitlines()[-1]
    report["competitors"]["mnist_convnet"]["runs"] = [run]
    assert "mnist_convnet" not in peers_report.marks(report)


def test_diverged_run_is_counted_apart(report):
    runs = report["competitors"]["mnist_convnet"]["runs"]
    point = {"images": 50, "seconds": 4.0}
    runs.insert(0, {"seed": 0, "state": "diverged", "points": [point]})
    assert "| 1 (1 more diverged) |" in peers_report.costs(report)
    row = peers_report.summary(report).splitlines()[-1]
    assert "| 1 (1 more diverged) | 99.00 |" in row


class Training:
    """A competitor's process and both ends of its pipe, with the scores after
    each of its turns, of a minute each."""

    def __init__(self, *scores):
        self.scores, self.turns, self.closed = scores, 0, False

    def send(self, word):
        self.turns += 1

    def recv(self):
        if not self.turns:
            return {"precision": "float32"}
        point = {"images": self.turns, "seconds": 60.0 * self.turns}
        last = self.turns == len(self.scores)
        if self.scores[self.turns - 1] == "killed":
            raise EOFError
        return point, self.scores[self.turns - 1], 9, last

    def start(self):
        pass

    def close(self):
        self.closed = True

    def join(self):
        assert self.closed


def trained(monkeypatch, *trainings):
    """The runs of a competitor whose processes are `trainings`, by seed."""
    pipes = iter([(x, SimpleNamespace(close=list)) for x in trainings])
    processes = iter(trainings)
    spawn = SimpleNamespace(
        Pipe=lambda: next(pipes), Process=lambda **how: next(processes)
    )
    monkeypatch.setattr(peers, "_SPAWN", spawn)
    entry = {"runs": []}
    for _ in peers.train("fast", range(len(trainings)), None, entry, True):
        pass
    assert entry["precision"] == "float32"
    return entry["runs"]


def test_each_seed_counts_however_the_one_before_it_ended(monkeypatch):
    fine = {"digit": 90.0}
    trainings = [(fine, None, fine), (fine, "killed"), (fine, fine)]
    runs = trained(monkeypatch, *(Training(*x) for x in trainings))
    states = {0: "diverged", 1: "failed", 2: "finished"}
    assert {run["seed"]: run["state"] for run in runs} == states
    accuracies = [[x.get("digit") for x in run["points"]] for run in runs]
    assert accuracies == [[90.0, None], [90.0], [90.0, 90.0]]


@pytest.mark.parametrize("turns", [None, 1])
def test_clock_stands_still_while_others_train_and_while_it_scores(
    monkeypatch, turns
):
    now, received = 0, []

    def takes(seconds, result=None):
        nonlocal now
        now += seconds
        return result

    def predict(images):
        return {"digit": np.eye(10)[[[0]]]}

    clock = SimpleNamespace(
        perf_counter=lambda: now, process_time=lambda: 1.5 * now
    )
    monkeypatch.setattr(competitors, "time", clock)
    pipe = SimpleNamespace(send=received.append, recv=lambda: takes(1000))
    data = {"x_test": np.zeros((1, 28, 28), "uint8"), "y_test": np.array([0])}
    competitor = competitors.Competitor("Keras", ("digit",), 2, 1, turns)
    clocked = competitors.Turns(pipe, data, competitor, smoke=False)
    clocked.begin(4, lambda: takes(100, predict), precision="float32")
    for step in range(1, 2 * (turns or 2) + 1):
        takes(1)
        clocked.step(step, 10 * step)
    assert received[0] == {"precision": "float32"}
    assert len(received) == 1 + (turns or 2)
    for i, (point, scores, _, last) in enumerate(received[1:], start=1):
        images, seconds = 20 * i, 2 * i
        assert point == {
            "images": images,
            "seconds": seconds,
            "core_seconds": 1.5 * seconds,
        }
        assert (scores, last) == ({"digit": 100.0}, i == (turns or 2))


def test_picture_and_json_are_made_of_the_report_alone(report, tmp_path):
    text = harness.to_json(report)
    assert json.loads(text) == report
    assert text.count('{"images"') == 4 * 4 + 2
    peers_figure.draw(report).savefig(tmp_path / "peers.png")
    assert (tmp_path / "peers.png").stat().st_size > 10_000


def test_score_counts_all_pairs_and_digits_of_images():
    labels = np.arange(20) % 10
    images = np.zeros((20, 28, 28), "uint8")
    images[:, 0, 0] = labels

    def predict(batch):
        digit = np.eye(10)[batch[:, 0, 0]]  # right
        total = digit.argmax(axis=1)[:, None] + np.arange(10)
        total[:, 3] = 18  # wrong, but for 9 + 9, which is not asked with 3
        return {"digit": digit[:, None], "sum": np.eye(19)[total]}

    assert competitors.score(predict, images, labels) == {
        "digit": 100.0,
        "sum": 90.0,
    }
    values = {"sum": np.full((20, 10, 1), 9.4)}  # the nearest integer
    assert competitors.score(lambda _: values, images, labels) == {"sum": 10.0}
    values["sum"][7] = np.nan
    assert competitors.score(lambda _: values, images, labels) is None


@pytest.mark.parametrize("flags", [["--only", "nobody"], ["--seeds", "0"]])
def test_rejects_wrong_flags_in_one_line(flags, capsys, tmp_path):
    out = tmp_path / "out.json"
    try:
        code = __main__.main(["peers", *flags, "--out", str(out)])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert not out.exists()
