"""The code blocks of the pages: what each is, and where those run that
`test_code_blocks.py` does not run itself."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "keras_mnist_sum").rglob("*.md")),
]

# By page, and how a block begins.
ELSEWHERE = {
    ("CONTRIBUTING.md", "pip install"): "the test suite and CI, which run this",
    ("CONTRIBUTING.md", "bash .ci/package"): "CI runs it",
    ("README.md", "python -m pytest"): "this is the test suite",
    ("README.md", "pip install ."): (
        "demo: test_command.py; predict: test_predict.py; .ci/package installs"
    ),
    ("data.md", "import numpy as np"): "a pattern: test_mnist_files.py has it",
    ("demo.md", "python -m keras_mnist_sum demo"): "test_command.py",
    ("demo.md", "python -m pytest"): "these are slow tests",
    ("distributed.md", "python -m keras_mnist_sum launch"): "test_launcher.py",
    ("distributed.md", "sbatch"): "needs Slurm: test_slurm.py",
    ("distributed.md", "python -m examples.ray_train"): "test_ray.py",
    ("distributed.md", "pip install -r requirements-gpu"): "needs a GPU",
    ("distributed.md", "TEST_GPU=0"): "needs a GPU",
    ("make_it_yours.md", "pip install -r"): "a server: test_examples.py",
    ("make_it_yours.md", "pip install jax"): "test_backends.py",
    ("performance.md", "pip install torch"): "packages of another index",
    ("reliability.md", "python train.py"): "Ctrl-C: test_reliability.py",
    ("runtimes.md", "tensorflowjs_converter"): "test_clients.py",
    ("runtimes.md", "npm install"): "a server: test_static_site.py",
    ("runtimes.md", "layer ="): "test_clients.py",
    ("runtimes.md", "loaded ="): "test_clients.py",
    ("runtimes.md", "net ="): "test_clients.py",
    ("runtimes.md", "model ="): "test_clients.py",
    ("runtimes.md", "const model = await tf."): "test_clients.py",
    ("runtimes.md", "const session ="): "test_clients.py",
    ("runtimes.md", "const model = await loadAnd"): "test_clients.py",
    ("serving.md", "saved_model_cli"): "test_saved_model.py",
    ("serving.md", "docker run"): "needs Docker",
    ("serving.md", 'python -c "\nimport json\nfrom keras_mnist_sum.data'): (
        "test_serving_requests.py"
    ),
    ("serving.md", "import grpc"): "test_serving_requests.py",
    ("serving.md", "pip install . mlserver"): "test_mlserver.py",
    ("serving.md", 'python -c "\nimport json\nfrom keras_mnist_sum import'): (
        "test_mlserver.py"
    ),
    ("training.md", "pip install -r"): "test_mlflow_example.py",
}
# Lines that measure for hours; tests/benchmarks has them on a small budget.
MEASURING = re.compile(r"python (-m benchmarks|benchmarks/).*\n")


def blocks(page):
    """`(language, text)` of each block of a page; `text` is what was printed,
    and no language a command of the shell."""
    found = re.findall(
        r"^```(\w*)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
    )
    assert page.read_text().count("\n```") == 2 * len(found)
    return found


def where(page, text):
    """Why a block does not run here, if it does not."""
    reasons = [
        reason
        for (name, begin), reason in ELSEWHERE.items()
        if page.name == name and text.startswith(begin)
    ]
    return " ".join(reasons)


def code(page, language):
    """The blocks of a page that run here."""
    return [
        text
        for found, text in blocks(page)
        if found == language and not where(page, text)
    ]


def printed(page):
    """What the page says that each of its blocks of Python prints, which run
    here; `None` where it says nothing."""
    found = blocks(page)
    following = [*found[1:], ("", "")]
    return [
        after if kind == "text" else None
        for (language, text), (kind, after) in zip(found, following)
        if language == "python" and not where(page, text)
    ]


def commands(page):
    """What of its shell blocks runs here."""
    texts = [MEASURING.sub("", text) for text in code(page, "")]
    return [text for text in texts if text.strip()]
