"""Those that are compared are built and trained as their authors have it."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import harness
from benchmarks.peers import competitors
from benchmarks.report import peers as peers_report
from keras_mnist_sum import presets
from keras_mnist_sum.formats.run_directory import Run


@pytest.mark.parametrize("name", ["hard_argmax", "mnist_convnet"])
def test_networks_have_the_published_size(name):
    from benchmarks.peers import in_keras

    published = {"hard_argmax": 347_277, "mnist_convnet": 34_826}
    model = getattr(in_keras, name)()
    assert model.count_params() == published[name]


@pytest.mark.parametrize("name", ["classification", "regression"])
def test_baselines_in_pytorch_compute_what_the_presets_compute(name):
    """With the same weights: the same outputs, and the same loss."""
    torch = pytest.importorskip("torch", reason="requirements-peers.txt")

    from benchmarks.peers import in_pytorch
    from keras_mnist_sum.models.build import build_model
    from keras_mnist_sum.training.optimization import compile_model

    preset = f"baseline_{name}"
    recipe = in_pytorch.RECIPES[preset]
    config = dataclasses.replace(presets.get(preset).config, width=2)
    model = compile_model(build_model(config), config)
    if name == "classification":
        channels, head = [2, 4, 8, 8, 16, 32], in_pytorch.Classification()
        dense = ["sum"]
    else:
        channels, head = [2, 4, 8, 16, 32, 64], in_pytorch.Regression()
        dense = ["head_number_dense1", "head_number_dense2"]
        for output in ("sum", "difference"):
            dense += [f"head_{output}_dense{i}" for i in (1, 2)] + [output]
    trunk = in_pytorch.seven_convolutions(channels)
    network = in_pytorch.Network(trunk, head)
    convolutions = [
        f"stage{stage}_conv{i}"
        for stage, count in ((1, 2), (2, 2), (3, 3))
        for i in range(1, count + 1)
    ]
    values = []
    for layer in map(model.get_layer, [*convolutions, *dense]):
        kernel, *bias = layer.get_weights()
        axes = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
        values += [kernel.transpose(axes), *bias]
    for parameter, value in zip(network.parameters(), values, strict=True):
        parameter.data = torch.tensor(value)

    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (6, 28, 28), "uint8")
    images[:, 0, 0] = 255
    digit, number = draws.integers(0, 10, (2, 6))
    theirs = network(in_pytorch.standardised(images), torch.tensor(number))
    ours = model.predict_on_batch(
        {
            "image": images[..., np.newaxis] / np.float32(255),
            "number": np.eye(10, dtype="float32")[number],
        }
    )
    for output, values in theirs.items():
        if output == "digit" or name == "classification":
            values = values.softmax(dim=1)
        np.testing.assert_allclose(
            values.detach(), ours[output], rtol=1e-4, atol=1e-5
        )
    targets = {
        "digit": digit,
        "sum": digit + number,
        "difference": abs(digit - number),
    }
    loss = recipe.loss(theirs, {k: torch.tensor(x) for k, x in targets.items()})
    if name == "regression":
        for output in ("sum", "difference"):
            targets[output] = targets[output][:, None].astype("float32")
        expected = model.compute_loss(y=targets, y_pred=ours)
    else:  # The other output has a loss of its own in ours.
        expected = sum(
            -np.log(ours[output][np.arange(6), targets[output]]).mean()
            for output in ("digit", "sum")
        )
    assert loss.item() == pytest.approx(float(expected), rel=1e-4)


def test_networks_in_pytorch_have_the_published_sizes():
    pytest.importorskip("torch", reason="requirements-peers.txt")
    from benchmarks.peers import in_pytorch
    from keras_mnist_sum.models.build import build_model

    def sizes(name):
        network = in_pytorch.RECIPES[name].network()
        model = build_model(presets.get(name).config)
        ours = sum(x.numel() for x in network.parameters())
        return ours, model.count_params()

    theirs, ours = sizes("baseline_classification")
    assert theirs == ours - 20 * 10  # It has no difference.
    theirs, ours = sizes("baseline_regression")
    assert theirs == ours
    small = in_pytorch.RECIPES["train_mnist_fast"].network()
    shapes = [tuple(x.shape) for x in small.parameters() if x.dim() > 1]
    assert shapes == [(24, 1, 5, 5), (32, 24, 3, 3), (256, 800), (10, 256)]


def test_pytorch_answers_all_pairs_as_it_answers_each():
    torch = pytest.importorskip("torch", reason="requirements-peers.txt")
    from benchmarks.peers import in_pytorch

    torch.manual_seed(0)
    head = in_pytorch.Regression()
    trunk = in_pytorch.seven_convolutions([2, 2, 2, 2, 2, 2])
    network = in_pytorch.Network(trunk, head)
    images = torch.rand(3, 1, 28, 28)
    with torch.no_grad():
        pairs = network.answer(images)
        for number in range(10):
            each = network(images, torch.full((3,), number))
            for name in ("sum", "difference"):
                torch.testing.assert_close(pairs[name][:, number], each[name])


def test_shuffled_batches_hold_each_example_once_an_epoch():
    from benchmarks.peers import in_keras

    batches = in_keras.shuffled(300, 0, lambda index: index)
    first, second = (
        np.concatenate(list(batches.as_numpy_iterator())) for _ in range(2)
    )
    assert sorted(first) == sorted(second) == list(range(300))
    assert list(first) != list(second)


class Ended(Exception):
    """Where a competitor's process would end."""


class Connection:
    """A benchmark that gives so many turns."""

    def __init__(self, turns):
        self.turns = turns
        self.received = []

    def send(self, message):
        self.received.append(message)

    def recv(self):
        if not self.turns:
            raise Ended
        self.turns -= 1
        return "go"


def test_ours_takes_its_turns_in_train(digits, tmp_path):
    from benchmarks.peers import in_keras

    images, labels = (np.concatenate(6 * [array]) for array in digits)
    arrays = {"x_train": images, "y_train": labels}
    arrays |= {"x_test": images[:50], "y_test": labels[:50]}
    np.savez(tmp_path / "mnist.npz", **arrays)
    connection = Connection(2)
    fast = competitors.COMPETITORS["fast"]
    turns = competitors.Turns(connection, arrays, fast, smoke=True)
    with pytest.raises(Ended):
        in_keras.train("fast", arrays, tmp_path / "mnist.npz", 3, turns)
    begin, *found = connection.received
    assert begin["images_in_an_epoch"] == 300
    assert begin["parameters"] == presets.get("fast").parameters
    assert [last for _, _, _, last in found] == [False, True]
    assert [point["images"] for point, *_ in found] == [3 * 256, 6 * 256]
    for _, scores, _, _ in found:
        assert set(scores) == {"digit", "sum", "difference"}
    # What comes after the last step is not done.
    assert Run(tmp_path / "fast-3").read_config().seed == 3
    assert not Run(tmp_path / "fast-3").model.exists()


@pytest.mark.slow
def test_everyone_trains_and_is_scored(tmp_path):
    pytest.importorskip("torch", reason="requirements-peers.txt")
    out, picture = tmp_path / "peers.json", tmp_path / "peers.png"
    command = ["-m", "benchmarks", "peers", "--data", "sample", "--out", out]
    harness.python(*command, "--smoke")
    report = json.loads(out.read_text())
    for name, competitor in report["competitors"].items():
        (run,) = competitor["runs"]
        assert run["state"] == "finished", name
        first, last = run["points"]
        assert 0 < first["seconds"] < last["seconds"]
        assert set(competitor["outputs"]) < set(last)
        parts = ["starts"] if competitor["turns"] else ["costs", "marks"]
        for part in parts:
            assert f"`{name}`" in peers_report.make(report, [part])
    harness.python(*command, "--smoke", "--only", "mnist_convnet")
    added = json.loads(out.read_text())["competitors"]
    assert list(added) == list(report["competitors"])
    assert added["fast"] == report["competitors"]["fast"]
    assert added["mnist_convnet"]["command"].endswith(
        "--only mnist_convnet --smoke"
    )
    draw = ["-m", "benchmarks", "figures", "peers", "--out", picture]
    harness.python(*draw, "--results", out)
    assert picture.stat().st_size > 10_000
