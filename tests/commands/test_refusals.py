"""A wrong value of an option is refused before the first line of work."""

from pathlib import Path

import pytest

from keras_mnist_sum import __main__

MODEL = Path(__main__.__file__).parent / "pretrained" / "model.keras"
EXPORT = ["export", "MODEL", "--out", "out", "--format"]


@pytest.mark.parametrize(
    "arguments, received",
    [
        ([*EXPORT, "onnx", "--batch", "0"], "Received: 0"),
        ([*EXPORT, "keras", "--batch", "2"], "Received: 2"),
        ([*EXPORT, "web", "--batch", "0"], "--format web"),
        ([*EXPORT, "onnx", "--quantize"], "format='onnx'"),
        ([*EXPORT, "onnx", "--data", ""], "Received: ''"),
        ([*EXPORT, "litert", "--quantize", "--data", ""], "--data ''"),
        ([*EXPORT, "web", "--runtime", "."], "Received: '.'"),
        (["evaluate", "MODEL", "--difference", "x"], "difference='x'"),
        (["evaluate", "MODEL", "--data-dir", ""], "--data-dir ''"),
        (
            ["evaluate", "MODEL", "--data", "sample", "--data-dir", "x"],
            "data_dir='x'",
        ),
        (["demo", "--model", "MODEL", "--difference", "x"], "difference='x'"),
        (["demo", "--model", "MODEL", "--port", "65536"], "port=65536"),
        (["train", "--checkpoint-every", "0"], "checkpoint_every=0"),
        (["train", "--data", ""], "--data ''"),
        (["train", "--data-dir", ""], "--data-dir ''"),
        (["show-data", "--data", "sample", "--data-dir", "x"], "data_dir='x'"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_wrong_value_is_one_line_and_the_only_one(
    arguments, received, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = [str(MODEL) if x == "MODEL" else x for x in arguments]
    assert __main__.main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert "Received: " in printed.err and received in printed.err
    assert list(tmp_path.iterdir()) == []
