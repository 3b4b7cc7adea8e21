"""A run directory: the only place that knows the names of the files in it."""

import contextlib
import itertools
import json
import logging
import os
import time
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import run_checks
from keras_mnist_sum.utils import locks
from keras_mnist_sum.utils.arguments import as_path
from keras_mnist_sum.utils.atomic_files import cannot_write
from keras_mnist_sum.utils.atomic_files import read_text
from keras_mnist_sum.utils.atomic_files import remove
from keras_mnist_sum.utils.atomic_files import remove_abandoned
from keras_mnist_sum.utils.atomic_files import write_text

ROOT = Path("runs")
_CONFIG, _MODEL, _CHECKPOINTS = "config.json", "model.keras", "checkpoints"

_logger = logging.getLogger(__name__)


class Run:
    """A run directory, which need not be there yet.

    `config.json` is written first: with it, a directory is a run. A run is
    scored when `results.json` is there, and finished when its pictures are
    there, too.

    Args:
        path: The directory.

    Raises:
        InputError: If it is no path.

    Attributes:
        path: The directory.
        config: JSON, what the run is.
        environment: JSON, on what it began: versions and machine.
        history: CSV, a row an epoch.
        steps: CSV, a row some steps, of training alone.
        checkpoints: Folder, until the run is finished.
        model: The trained model.
        saved_model: The same as a SavedModel: the folder of its version.
        results: JSON, how well it does on the test set.
        overview: PNG, the test set and the learned tables.
        curves: PNG, the history.
        lock_file: What the process that trains has locked.
        tensorboard: Folder, what TensorBoard shows.
        report: Folder, what `evaluate.py --report` writes.
        teachers: Folder, the runs of the teachers that it trained itself.
    """

    def __init__(self, path: str | bytes | os.PathLike) -> None:
        self.path = as_path(path, "`run_dir` must be the path of a folder")
        self.config = self.path / _CONFIG
        self.environment = self.path / "environment.json"
        self.history = self.path / "history.csv"
        self.steps = self.path / "steps.csv"
        self.checkpoints = self.path / _CHECKPOINTS
        self.model = self.path / _MODEL
        self.saved_model = self.path / "saved_model" / "1"
        self.results = self.path / "results.json"
        self.overview = self.path / "overview.png"
        self.curves = self.path / "curves.png"
        self.tensorboard = self.path / "tensorboard"
        self.report = self.path / "report"
        self.teachers = self.path / "teachers"
        self.lock_file = self.checkpoints / "lock"

    @classmethod
    def open(cls, path: str | Path, config: Config) -> "Run":
        """Opens a new run or one to go on with, without writing anything.

        Args:
            path: The directory.
            config: The run. What is only known once the data is read is not
                compared yet; `begin` compares that.

        Raises:
            InputError: If the directory holds something else, or belongs to a
                run with another config, or the clock cannot be right.
        """
        run = cls(path)
        if run.has_begun:
            run_checks.check_config(run, config)
        elif run.path.is_dir():
            run_checks.check_foreign_files(run)
        run_checks.check_places(run)
        run_checks.check_clock()
        return run

    @classmethod
    def create(cls, name: str) -> "Run":
        """Makes a directory for a new run of `name`, below `runs/`.

        Raises:
            InputError: If the system refuses.
        """
        stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        first = as_path(ROOT / stem, "A run needs the name of a folder")
        path, count = first, 1
        while True:
            try:
                path.mkdir(parents=True)
                return cls(path)
            except FileExistsError as error:
                if not os.path.lexists(path):  # `runs` is no folder.
                    raise cannot_write(path, error) from error
                count += 1  # Another run began in this second.
                path = first.with_name(f"{first.name}-{count}")
            except OSError as error:
                raise cannot_write(path, error) from error

    @classmethod
    def newest(cls) -> "Run | None":
        """The run below `runs/` whose model was written last, if any."""
        newest = _newest(ROOT.glob(f"*/{_MODEL}"))
        return cls(newest.parent) if newest else None

    @classmethod
    def unfinished(cls, config: Config) -> "Run | None":
        """The newest run below `runs/` that began with `config` and is not
        finished, if any."""
        found = []
        for path in ROOT.glob(f"*/{_CONFIG}"):
            run = cls(path.parent)
            with contextlib.suppress(InputError):
                begun = run.read_config()
                unknown = config.as_begun(begun).data == "auto"
                if not (
                    run.is_finished
                    or unknown
                    or run_checks.differences(begun, config)
                ):
                    found.append(path)
        newest = _newest(found)
        return cls(newest.parent) if newest else None

    @property
    def has_begun(self) -> bool:
        return _is_file(self.config)

    @property
    def is_scored(self) -> bool:
        return _is_file(self.results)

    @property
    def is_finished(self) -> bool:
        files = (self.results, self.overview, self.curves)
        return all(_is_file(file) for file in files)

    def read_config(self) -> Config:
        """The config that the run began with.

        Raises:
            InputError: If it cannot be read.
        """
        return Config.from_json(read_text(self.config))

    def read_results(self) -> dict[str, Any]:
        """What `results.json` holds.

        Raises:
            InputError: If it cannot be read.
        """
        text = read_text(self.results)
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(results := json.loads(text), dict):
                return results
        raise InputError(
            "The results of a run must be a JSON object; evaluate.py --json "
            f"scores its model again. Received: {str(self.results)!r}"
        )

    def begin(self, config: Config, replicas: int = 1) -> None:
        """Makes the directory this run's own, or checks that it is.

        Another environment than the run began in is a warning.

        Args:
            config: The run, with its data, steps and precision known.
            replicas: Copies of the model that train together.

        Raises:
            InputError: If it belongs to a run with another config, or the
                system refuses to write.
        """
        from keras_mnist_sum.utils import environment  # imports TensorFlow

        if self.has_begun:
            run_checks.check_config(self, config)
        else:
            write_text(self.config, config.to_json())
        if not _is_file(self.environment):
            write_text(self.environment, environment.to_json(replicas))
            return
        try:
            begun = read_text(self.environment)
        except InputError:
            begun = ""
        if drift := environment.drift(begun, replicas):
            _logger.warning(f"results may differ in their last digits: {drift}")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other processes from training here while the block runs.

        The system lifts the lock when the process ends, however it ends. What
        a killed process left half-written is removed.

        Raises:
            InputError: If another process holds the lock, or the system
                refuses to write there.
        """
        with contextlib.ExitStack() as stack:
            try:
                self.checkpoints.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(open(self.lock_file, "a"))
            except OSError as error:
                raise cannot_write(self.lock_file, error) from error
            try:
                locks.lock(file.fileno(), wait=False)
            except BlockingIOError:
                raise InputError(
                    "Another process is training there. "
                    f"Received: {str(self.path)!r}"
                ) from None
            except OSError as error:
                _logger.warning(
                    "nothing keeps a second process from training there: no "
                    f"locks on the file system of {str(self.path)!r} "
                    f"({error.strerror})"
                )
            for folder, *names in os.walk(self.path):
                for name in itertools.chain(*names):
                    if run_checks.OLD_PARTIAL.fullmatch(name):
                        remove(Path(folder, name))
                remove_abandoned(Path(folder))
            yield

    def remove_checkpoints(self) -> None:
        """Removes what only an unfinished run needs, and no file of others."""
        for path in [*self.checkpoints.glob("step-*.ckpt"), self.lock_file]:
            remove(path)
        with contextlib.suppress(OSError):  # Another's file is there.
            self.checkpoints.rmdir()


def _newest(files: Iterable[Path]) -> Path | None:
    """The one that was written last, of those that are plain files."""
    times = {}
    for file in files:
        with contextlib.suppress(OSError):  # It may be removed meanwhile.
            if file.is_file():
                times[file] = file.stat().st_mtime
    return max(times, key=times.__getitem__, default=None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise InputError(
            f"A run directory must be readable. Received: {str(path)!r} "
            f"({error.strerror})"
        ) from error
