"""Messages of native libraries on standard error are silenced."""

import os
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path

import pytest

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.quiet import filtered_warnings
from keras_mnist_sum.utils.quiet import import_tensorflow
from keras_mnist_sum.utils.quiet import silence


@pytest.mark.parametrize(
    "error, shown",
    [
        (RuntimeError, "noise\n"),  # It may say why.
        (InputError, ""),
        (KeyboardInterrupt, ""),
    ],
)
def test_silenced_output_is_shown_only_where_it_may_help(capfd, error, shown):
    with pytest.raises(error), silence():
        os.write(2, b"noise\n")
        raise error
    with silence():
        os.write(2, b"noise\n")
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == f"{shown}after\n"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux keeps it in memory")
def test_silencing_needs_no_folder_for_temporary_files(capfd, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", pytest.fail)
    with pytest.raises(RuntimeError), silence():
        os.write(2, b"noise\n")
        raise RuntimeError
    assert capfd.readouterr().err == "noise\n"


def test_silencing_needs_no_standard_error():
    program = (
        "import os, sys\n"
        "os.close(2)\n"
        "sys.stderr = None\n"
        "from keras_mnist_sum.utils.quiet import silence\n"
        "with silence():\n"
        "    print('silent')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert (result.returncode, result.stdout) == (0, "silent\n")


def test_tensorflow_without_a_folder_for_temporary_files_is_one_clear_line(
    monkeypatch,
):
    def refuse():
        raise FileNotFoundError(2, "No usable temporary directory found in []")

    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "tensorflow")
        patch.setattr(tempfile, "gettempdir", refuse)
        with pytest.raises(InputError, match="set TMPDIR.*Received: TMPDIR="):
            import_tensorflow()


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables, level",
    [
        ({}, "2"),
        ({"TF_CONFIG": "{}"}, "3"),
        ({"SLURM_STEP_NUM_TASKS": "2"}, "3"),
        ({"SLURM_STEP_NUM_TASKS": "1"}, "2"),
        ({"SLURM_STEP_NUM_TASKS": "2", "TF_CPP_MIN_LOG_LEVEL": "0"}, "0"),
    ],
)
def test_native_errors_are_silent_where_several_workers_train(variables, level):
    """A worker that is done before another counts as an error there."""
    program = (
        "import os; from keras_mnist_sum.utils.quiet import import_tensorflow;"
        "import_tensorflow(); print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    )
    names = {"TF_CPP_MIN_LOG_LEVEL", "TF_CONFIG", "SLURM_STEP_NUM_TASKS"}
    kept = {k: x for k, x in os.environ.items() if k not in names}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=kept | variables,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{level}\n"


def at_once(block):
    """Two threads whose blocks overlap: the first in is the first out."""
    begun, ended = threading.Event(), threading.Event()

    def first():
        with block():
            begun.set()
            ended.wait(0.2)  # The other may have to wait for this one's end.

    def second():
        begun.wait()
        with block():
            ended.set()

    threads = [threading.Thread(target=x) for x in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_silence_of_two_threads_ends_with_the_last(capfd):
    at_once(silence)
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_warnings_filtered_in_two_threads_are_as_before():
    for own in ("default", "ignore"):  # A user's stays in its place.
        with warnings.catch_warnings():
            warnings.simplefilter(own)
            warnings.filterwarnings("error", module="some")
            before = [*warnings.filters]
            at_once(lambda: filtered_warnings("ignore"))
            assert warnings.filters == before
    with filtered_warnings("ignore"), filtered_warnings("ignore"):
        warnings.warn("not an error", stacklevel=1)
    with pytest.raises(UserWarning):
        warnings.warn("an error, as before", stacklevel=1)
