"""The comparison with others: what it concludes, and that it runs."""

import json

import numpy as np
import pytest

from benchmarks import __main__
from benchmarks import harness
from benchmarks.figures import peers_figure
from benchmarks.peers import competitors
from benchmarks.peers import peers
from benchmarks.report import peers as peers_report


def entry(outputs, *runs, ours=False):
    """Of 100 images an epoch; each run is `[(seconds, percent), ...]`."""
    return {
        "command": "python -m benchmarks peers",
        "time": "2026-01-01T00:00:00Z",
        "framework": "Keras",
        "ours": ours,
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
                        "step": i + 1,
                        "images": 50 * (i + 1),
                        "seconds": seconds,
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
    first, second, third = report["competitors"]["fast"]["runs"]
    assert peers_report.seconds_to(first, "sum", 99.0) == 3.0
    assert peers_report.seconds_to(second, "sum", 99.0) == 6.0
    assert peers_report.seconds_to(third, "sum", 99.0) == float("inf")
    table = peers_report.marks(report)
    assert "| sum | 99.07 | 99.07 | 6.0 s (2 of 3) | never | never |" in table


def test_aims_compare_with_the_best_sums_a_peer_ever_had(report):
    sums, digits = peers_report.aims(report)
    # 98.00 % first after 30 s, and ours after 2 s: 15 times, not 20.
    assert "98.00 %, after 30 s" in sums
    assert "`fast` in 2.0 s (15.0 times as fast)" in sums
    assert sums.endswith("missed.")
    assert digits.endswith("met.") and "`mnist_convnet`, 8.0 s" in digits
    report["competitors"]["hard_argmax"]["runs"][0]["points"][1]["sum"] = 97.9
    assert "after 59 s" in peers_report.aims(report)[0]
    assert peers_report.aims(report)[0].endswith("met.")


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


def test_peer_that_learned_no_sums_is_not_compared(report):
    for point in report["competitors"]["hard_argmax"]["runs"][0]["points"]:
        point["sum"] = 10.0
    assert "learned no sums" in peers_report.aims(report)[0]
    assert peers_report.summary(report).splitlines()[3].endswith("|  |")


def test_never_reaching_the_best_peer_is_no_speedup(report):
    points = report["competitors"]["hard_argmax"]["runs"][0]["points"]
    points[3]["sum"] = 99.9
    sums = peers_report.aims(report)[0]
    assert "`fast` never" in sums and sums.endswith("missed.")
    for run in report["competitors"]["fast"]["runs"]:
        for point in run["points"]:
            point["digit"] = 98.0
    assert peers_report.aims(report)[1].endswith("missed.")


def test_costs_count_whole_epochs_and_leave_out_the_tracing_slice(report):
    fast = report["competitors"]["fast"]
    assert peers_report.epoch_seconds(fast)[:2] == [2.0, 2.0]
    assert peers_report.images_per_second(fast) == pytest.approx(50.0)
    run = report["competitors"]["hard_argmax"]["runs"][0]
    run["state"] = "stopped by the budget"
    del run["points"][2:]
    assert "| 1 of 2 |" in peers_report.costs(report)
    del run["points"][1:]
    row = peers_report.costs(report).splitlines()[-2]
    assert "| 0.5 of 2 | 1 | 10 s |  | 5 |" in row


def test_results_of_another_machine_are_not_added_to(report):
    here = {name: report[name] for name in ("cores", "data")}
    counts = {"fast": 3}
    assert peers.others_in(report, here, counts, smoke=False) == []
    assert peers.others_in({"competitors": {}}, here, counts, True) == []
    (other,) = peers.others_in(report, here | {"cores": 4}, counts, False)
    assert other == "of cores 2, not 4"
    (fewer,) = peers.others_in(report, here, {"fast": 2}, smoke=False)
    assert fewer == "with n = 3, not 2"
    (real,) = peers.others_in(report, here, counts, smoke=True)
    assert real.endswith("no try")


def test_conditions_name_the_command_of_each_competitor(report):
    text = peers_report.conditions(report)
    assert text.startswith("`python -m benchmarks peers`, 2026-01-01: a proc")
    report["competitors"]["fast"]["command"] += " --only fast"
    text = peers_report.conditions(report)
    assert (
        "`python -m benchmarks peers --only fast`, 2026-01-01 (`fast`)" in text
    )
    assert "2026-01-01 (`hard_argmax`, `mnist_convnet`): a processor" in text


def test_failed_run_is_left_out(report):
    failed = {"seed": 1, "state": "failed", "points": []}
    report["competitors"]["mnist_convnet"]["runs"].append(failed)
    assert "| 1 |" in peers_report.costs(report).splitlines()[-1]
    report["competitors"]["mnist_convnet"]["runs"] = [failed]
    assert "mnist_convnet" not in peers_report.marks(report)
    assert len(peers_report.aims(report)) == 1


def test_peer_that_always_diverged_is_named(report):
    point = {"step": 1, "images": 50, "seconds": 4.0}
    run = {"seed": 0, "state": "diverged", "points": [point]}
    report["competitors"]["hard_argmax"]["runs"] = [run, {**run, "seed": 1}]
    line, _ = peers_report.aims(report)
    assert line == "- `hard_argmax` diverged in all of its 2 runs."
    assert "hard_argmax" not in peers_report.summary(report)


def test_diverged_run_is_counted_apart(report):
    runs = report["competitors"]["mnist_convnet"]["runs"]
    point = {"step": 1, "images": 50, "seconds": 4.0}
    runs.insert(0, {"seed": 0, "state": "diverged", "points": [point]})
    assert "| 1 (1 more diverged) |" in peers_report.costs(report)
    row = peers_report.summary(report).splitlines()[-1]
    assert "| 1 (1 more diverged) | 99.00 |" in row


class Training:
    """A competitor's process and its pipe, with a point for each turn."""

    def __init__(self, *points):
        self.points = list(points)
        self.said = []

    def recv(self):
        step, scores, last = self.points.pop(0)
        return {
            **{"step": step, "images": step, "seconds": 60.0 * step},
            **{"scores": scores, "peak_megabytes": 9, "last": last},
        }

    def send(self, word):
        self.said.append(word)

    def join(self):
        assert self.said[-1] == "end"


def trained(monkeypatch, count, *trainings, budget=1e9):
    """The runs of a lane whose processes are `trainings`, in their order."""
    waiting = list(trainings)

    def start(lane):
        state = {"seed": lane.seeds.pop(0), "state": "running", "points": []}
        lane.report["runs"].append(state)
        lane.process = lane.connection = waiting.pop(0)

    monkeypatch.setattr(peers.Lane, "_start", start)
    lane = peers.Lane("mnist_convnet", count, None, smoke=True)
    while lane.turn(budget):
        pass
    assert not waiting
    return lane.report["runs"]


def test_diverged_run_is_tried_with_another_seed(monkeypatch):
    fine = [(1, {"digit": 90.0}, False), (2, {"digit": 95.0}, True)]
    runs = trained(
        monkeypatch,
        2,
        Training((1, {"digit": 80.0}, False), (2, None, False)),
        Training(*fine),
        Training(*fine),
    )
    assert [(run["seed"], run["state"]) for run in runs] == [
        (0, "diverged"),
        (1, "finished"),
        (2, "finished"),
    ]
    assert [point.get("digit") for point in runs[0]["points"]] == [80.0, None]


def test_gives_up_what_always_diverges(monkeypatch):
    bad = [Training((1, None, False)) for _ in range(6)]
    runs = trained(monkeypatch, 2, *bad)
    assert [run["state"] for run in runs] == 6 * ["diverged"]
    assert [run["seed"] for run in runs] == [0, 1, 2, 3, 4, 5]


def test_run_is_ended_by_the_budget_at_the_end_of_its_slice(monkeypatch):
    slices = [(step, {"digit": 90.0}, False) for step in (1, 2, 3)]
    (run,) = trained(monkeypatch, 1, Training(*slices), budget=100)
    assert run["state"] == "stopped by the budget"
    assert [point["seconds"] for point in run["points"]] == [60.0, 120.0]


def test_picture_and_json_are_made_of_the_report_alone(report, tmp_path):
    text = harness.to_json(report)
    assert json.loads(text) == report
    assert text.count('{"step"') == 4 * 4 + 2
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
    with pytest.raises(FloatingPointError, match="sum"):
        competitors.score(lambda _: values, images, labels)


@pytest.mark.parametrize(
    "flags",
    [["--only", "nobody"], ["--seeds", "0"], ["--budget", "-1"]],
)
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
