"""A run directory: the only place that knows the names of the files in it."""

import contextlib
import dataclasses
import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.atomic_files import PARTIAL
from keras_mnist_sum.utils.atomic_files import cannot_write
from keras_mnist_sum.utils.atomic_files import may_be_created
from keras_mnist_sum.utils.atomic_files import read_text
from keras_mnist_sum.utils.atomic_files import remove
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

    Attributes:
        path: The directory.
        config: JSON, what the run is.
        environment: JSON, on what it began: versions and machine.
        history: CSV, a row an epoch.
        checkpoints: Folder, until the run is finished.
        model: The trained model.
        saved_model: The same as a SavedModel: the folder of its version.
        results: JSON, how well it does on the test set.
        overview: PNG, the test set and the learned tables.
        curves: PNG, the history.
        tensorboard: Folder, what TensorBoard shows.
        report: Folder, what `evaluate.py --report` writes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / _CONFIG
        self.environment = self.path / "environment.json"
        self.history = self.path / "history.csv"
        self.checkpoints = self.path / _CHECKPOINTS
        self.model = self.path / _MODEL
        self.saved_model = self.path / "saved_model" / "1"
        self.results = self.path / "results.json"
        self.overview = self.path / "overview.png"
        self.curves = self.path / "curves.png"
        self.tensorboard = self.path / "tensorboard"
        self.report = self.path / "report"
        self._lock = self.checkpoints / "lock"

    @classmethod
    def open(cls, path: str | Path, config: Config) -> "Run":
        """Opens a new run or one to go on with, without writing anything.

        Args:
            path: The directory.
            config: The run. What is only known once the data is read is not
                compared yet; `begin` compares that.

        Raises:
            InputError: If the directory cannot be written, holds something
                else, or belongs to a run with another config.
        """
        run = cls(path)
        if run.has_begun:
            run._check_config(config)
        elif run.path.is_dir():
            run._check_foreign_files()
        if not may_be_created(run.path):
            raise InputError(
                f"`run_dir` must be writable. Received: {str(run.path)!r}"
            )
        return run

    @classmethod
    def create(cls, name: str) -> "Run":
        """Makes a directory for a new run of `name`, below `runs/`.

        Raises:
            InputError: If the system refuses.
        """
        first = ROOT / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
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
        newest = max(ROOT.glob(f"*/{_MODEL}"), key=_time, default=None)
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
                    run.is_finished or unknown or _differences(begun, config)
                ):
                    found.append(path)
        newest = max(found, key=_time, default=None)
        return cls(newest.parent) if newest else None

    @property
    def has_begun(self) -> bool:
        return self.config.is_file()

    @property
    def is_scored(self) -> bool:
        return self.results.is_file()

    @property
    def is_finished(self) -> bool:
        files = (self.results, self.overview, self.curves)
        return all(file.is_file() for file in files)

    def read_config(self) -> Config:
        """The config that the run began with.

        Raises:
            InputError: If it cannot be read.
        """
        return Config.from_json(read_text(self.config))

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
            self._check_config(config)
        else:
            write_text(self.config, config.to_json())
        if not self.environment.is_file():
            write_text(self.environment, environment.to_json(replicas))
            return
        drift = environment.drift(read_text(self.environment), replicas)
        if drift:
            _logger.warning(f"results may differ in their last digits: {drift}")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other processes from training here while the block runs.

        The system lifts the lock when the process ends, however it ends. What
        a killed process left half-written is removed.

        Raises:
            InputError: If another process holds the lock, or the system
                refuses to make the directory.
        """
        with contextlib.ExitStack() as stack:
            try:
                self.checkpoints.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(open(self._lock, "a"))
            except OSError as error:
                raise cannot_write(self._lock, error) from error
            try:
                import fcntl  # not on Windows

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    "Another process is training there. "
                    f"Received: {str(self.path)!r}"
                ) from None
            except (ImportError, OSError) as error:
                _logger.warning(
                    "nothing keeps a second process from training there: no "
                    f"locks on the file system of {str(self.path)!r} "
                    f"({getattr(error, 'strerror', error)})"
                )
            for litter in list(self.path.rglob(f"{PARTIAL}*")):
                remove(litter)
            yield

    def remove_checkpoints(self) -> None:
        """Removes what only an unfinished run needs."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def _check_foreign_files(self) -> None:
        # What a run leaves that was killed before its config was written.
        ours = {self.checkpoints, self._lock}
        others = {
            str(path.relative_to(self.path))
            for pattern in ("*", f"{_CHECKPOINTS}/*")
            for path in self.path.glob(pattern)
            if path not in ours and not path.name.startswith(PARTIAL)
        }
        if others:
            raise InputError(
                "`run_dir` must be new, empty, or a run to go on with, so that "
                f"nothing is overwritten. Received: {str(self.path)!r}, which "
                f"holds {min(others)}"
            )

    def _check_config(self, config: Config) -> None:
        differences = _differences(self.read_config(), config)
        if differences:
            raise InputError(
                "`run_dir` belongs to a run with another config. Received: "
                f"{str(self.path)!r} with {', '.join(differences)}"
            )


def _differences(begun: Config, config: Config) -> list[str]:
    """In what `config` differs from that of a run that has begun.

    The folder of tensorflow-datasets may be another: checkpoints know what was
    in it. What `config` leaves open is not compared.
    """
    config = config.as_begun(begun)
    left_open = {"data_dir"}
    if config.data == "auto" or begun.data == os.path.abspath(config.data):
        left_open.add("data")
    if config.epochs is not None:
        left_open |= {"epochs", "steps"}
    return [
        f"{field.name}={before!r}, not {now!r}"
        for field in dataclasses.fields(begun)
        for before, now in [
            (getattr(begun, field.name), getattr(config, field.name))
        ]
        if before != now and field.name not in left_open
    ]


def _time(path: Path) -> float:
    return path.stat().st_mtime
