"""The page to draw on, for a model of any task."""

import json
from pathlib import Path

from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import Task

_FOLDER = Path(__file__).parent


def page(task: Task) -> str:
    """The page that asks the server it comes from."""
    return _page(task, "")


def page_without_server(task: Task, runtime: str) -> str:
    """The page that computes its answers from `model.onnx` beside it.

    Args:
        task: What the model's outputs are.
        runtime: The address of the folder that has ONNX Runtime Web's files,
            with a slash at its end.
    """
    script = (_FOLDER / "in_browser.js").read_text(encoding="utf-8")
    script = script.replace('"RUNTIME"', _literal(runtime))
    return _page(task, f"<script>\n{script}</script>\n")


def _page(task: Task, script: str) -> str:
    facts = {
        "image": IMAGE_SHAPE,
        "outputs": [
            {
                "name": name,
                "values": output.values,
                "text": output.text,
                # Whether answers agree, the server says.
                **({"table": output.pair_values.tolist()} if script else {}),
            }
            for name, output in task.items()
        ],
    }
    text = (_FOLDER / "page.html").read_text(encoding="utf-8")
    return text.replace("<!-- SCRIPT -->\n", script).replace(
        '"TASK"', _literal(facts)
    )


def _literal(value: object) -> str:
    # A file's task must not end the script.
    return json.dumps(value).replace("<", "\\u003c")
