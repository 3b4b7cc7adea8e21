"""Several workers on this machine, watched: all go on together, or again."""

import contextlib
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO
from typing import TextIO

from keras_mnist_sum.errors import InputError

_HEARTBEAT = "KERAS_MNIST_SUM_HEARTBEAT"
_LAUNCHER = "KERAS_MNIST_SUM_LAUNCHER"
# Exit codes after which none tries again: done, wrong input, divergence,
# stopped by SIGINT, nobody reads, and stopped by SIGTERM.
_FINAL = (0, 2, 3, 130, 141, 143)
_GRACE = 5.0  # seconds in which workers end by themselves
_SAVING = 15.0  # and in which the last one does, of those told to stop
_AGAIN = 1.0  # seconds between two SIGTERM


def beat() -> None:
    """Tells the launcher, if there is one, that this worker gets on.

    A worker whose launcher is no more is asked to stop, as by SIGTERM.
    """
    path = os.environ.get(_HEARTBEAT)
    if path and os.getppid() == int(os.environ[_LAUNCHER]):
        os.utime(path)
    elif path:
        del os.environ[_HEARTBEAT]  # Once is enough: a second one kills.
        signal.raise_signal(signal.SIGTERM)


def is_watched() -> bool:
    """Whether this is a worker of a launcher."""
    return bool(os.environ.get(_HEARTBEAT))


def launch(
    command: Sequence[str],
    workers: int,
    max_restarts: int = 3,
    timeout: float = 300.0,
) -> int:
    """Runs `command` in several processes that train together.

    Each finds the others by `TF_CONFIG`, and has its share of this machine's
    GPUs to itself. Their output appears line by line behind their numbers. When
    one fails, or gets no step done in `timeout` seconds, all are killed and
    started again, to go on from the newest checkpoint; not where that is of no
    use, since the input is wrong or training diverged. SIGINT and SIGTERM are
    passed on, SIGTERM until all have ended; a second one kills all.

    Args:
        command: A Python program and its arguments: `["train.py", ...]`.
        workers: Number of processes.
        max_restarts: How often all may be started again.
        timeout: Seconds.

    Returns:
        The exit code: 0, that of the worker that failed first (128 + its
        number for one ended by a signal), or 128 + the number of the signal
        that was passed on.

    Raises:
        InputError: If the numbers are not positive, the program is missing, or
            there are more workers than GPUs.
    """
    if workers < 1 or max_restarts < 0 or not timeout > 0:
        raise InputError(
            "A launch needs a positive number of workers and of seconds, and "
            f"no negative one of restarts. Received: workers={workers}, "
            f"max_restarts={max_restarts}, timeout={timeout}"
        )
    if not command or not Path(command[0]).is_file():
        raise InputError(
            "A launch needs a Python program and its arguments, after --. "
            f"Received: {' '.join(command)!r}"
        )
    shares = _share_gpus(workers)
    restarts = 0
    with tempfile.TemporaryDirectory() as folder, _Signals() as signals:
        while True:
            job = _Job()
            try:
                job.start(command, shares, Path(folder))
                code, reason = job.watch(timeout, signals)
            finally:
                job.kill()
            if code and signals.received:
                _say("stopped: the same command goes on")
                return 128 + signals.received[0]
            if code in _FINAL or restarts == max_restarts:
                if code:
                    _say(reason)
                return code
            restarts += 1
            _say(f"{reason}: starting all again ({restarts} of {max_restarts})")


class _Signals:
    """Notes SIGINT and SIGTERM while entered."""

    def __init__(self) -> None:
        self.received: list[int] = []

    def __enter__(self) -> "_Signals":
        self._before = {
            signum: signal.signal(signum, self._note)
            for signum in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *error: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.received.append(signum)


class _Job:
    """The processes of one try."""

    def __init__(self) -> None:
        self.heartbeats: list[Path] = []
        # Of each: when it was touched last, and when we noticed that.
        self.beats: dict[Path, tuple[int, float]] = {}
        self.processes: list[subprocess.Popen] = []
        self.pumps: list[threading.Thread] = []
        self.unread = threading.Event()

    def start(
        self, command: Sequence[str], shares: list[dict], folder: Path
    ) -> None:
        """Starts a worker for each of `shares`, variables of its own."""
        self.heartbeats = [folder / str(index) for index in range(len(shares))]
        addresses = free_addresses(len(shares))
        for index, heartbeat in enumerate(self.heartbeats):
            heartbeat.touch()
            config = {
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            }
            process = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={
                    **os.environ,
                    **shares[index],
                    "TF_CONFIG": json.dumps(config),
                    "PYTHONUNBUFFERED": "1",
                    _HEARTBEAT: str(heartbeat),
                    _LAUNCHER: str(os.getpid()),
                },
                start_new_session=True,  # Ctrl-C reaches them through us.
            )
            self.processes.append(process)
            for source, target in (
                (process.stdout, sys.stdout),
                (process.stderr, sys.stderr),
            ):
                pump = threading.Thread(
                    target=self._pump, args=(source, target, index), daemon=True
                )
                pump.start()
                self.pumps.append(pump)

    def watch(self, timeout: float, signals: _Signals) -> tuple[int, str]:
        """Waits for the end of all, or for trouble.

        Returns:
            The exit code, and what happened, in a few words.
        """
        while True:
            codes = [process.poll() for process in self.processes]
            if self.unread.is_set():
                return 141, "nobody reads"
            if signals.received:
                return self._stop(timeout, signals)
            if any(codes):
                return self._diagnose()
            if None not in codes:
                return 0, "done"
            for index, code in enumerate(codes):
                silent = self._silent(self.heartbeats[index])
                if code is None and silent > timeout:
                    return 1, (
                        f"worker {index} got no step done in "
                        f"{timeout:.0f} seconds"
                    )
            time.sleep(0.1)

    def _silent(self, heartbeat: Path) -> float:
        """For how many seconds nothing was heard of a worker.

        By a clock that nobody sets, and that stands still as the machine
        sleeps.
        """
        touched, now = heartbeat.stat().st_mtime_ns, time.monotonic()
        if self.beats.get(heartbeat, (None, now))[0] != touched:
            self.beats[heartbeat] = touched, now
        return now - self.beats[heartbeat][1]

    def _stop(self, timeout: float, signals: _Signals) -> tuple[int, str]:
        """Passes a signal on, and waits for the end of all."""
        signum = signals.received[0]
        deadline = time.monotonic() + timeout
        self._send(signum)
        sent = time.monotonic()
        while True:
            now = time.monotonic()
            codes = [process.poll() for process in self.processes]
            if None not in codes:
                return int(any(codes)), "stopped"
            if codes.count(None) < len(codes):  # No one goes on alone.
                deadline = min(deadline, now + _SAVING)
            if now > deadline or len(signals.received) > 1:
                return 1, "killed"
            if signum == signal.SIGTERM and now > sent + _AGAIN:
                # TensorFlow drops one that comes as it connects the workers.
                self._send(signum)
                sent = now
            time.sleep(0.1)

    def _diagnose(self) -> tuple[int, str]:
        """Which worker failed: one that another took along exits with 4."""
        end = time.monotonic() + _GRACE
        while True:
            codes = {i: x.poll() for i, x in enumerate(self.processes)}
            failed = {i: code for i, code in codes.items() if code}
            own = {i: code for i, code in failed.items() if code != 4}
            own = {i: x for i, x in own.items() if x in _FINAL} or own
            if own or None not in codes.values() or time.monotonic() > end:
                break
            time.sleep(0.1)
        index, code = next(iter((own or failed).items()))
        if code < 0:
            names = {each.value: each.name for each in signal.Signals}
            name = names.get(-code, f"signal {-code}")
            return 128 - code, f"worker {index} was ended by {name}"
        return code, f"worker {index} ended with exit code {code}"

    def _pump(self, source: IO[str], target: TextIO, index: int) -> None:
        with source:
            for line in source:
                try:
                    target.write(f"[{index}] {line}")
                    target.flush()
                except OSError:
                    self.unread.set()  # And read on: workers write on.

    def _send(self, signum: int) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signum)

    def kill(self) -> None:
        """Ends all that are left, with all that they started."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pump in self.pumps:
            pump.join(_GRACE)


def _share_gpus(workers: int) -> list[dict[str, str]]:
    """The environment variables that give each worker GPUs of its own.

    As many to one as to another; what is left over stays idle.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
        try:
            said = subprocess.run(query, capture_output=True, timeout=30).stdout
        except (
            OSError,
            subprocess.SubprocessError,
        ):  # no driver, or a hung one
            said = b""
        gpus = [
            line
            for line in said.decode(errors="replace").splitlines()
            if line.startswith("GPU-")
        ]
    else:
        # As CUDA reads it: up to the first that is no device.
        names = [name.strip() for name in visible.split(",")]
        gpus = list(itertools.takewhile(_is_gpu, names))
    if not gpus:
        return [{}] * workers
    if workers > len(gpus):
        raise InputError(
            "Each worker needs a GPU of its own; CUDA_VISIBLE_DEVICES=-1 "
            f"trains on the CPU. Received: workers={workers}, GPUs: {len(gpus)}"
        )
    each = len(gpus) // workers
    return [
        {"CUDA_VISIBLE_DEVICES": ",".join(gpus[i * each : (i + 1) * each])}
        for i in range(workers)
    ]


def _is_gpu(name: str) -> bool:
    return name.isdigit() or name.startswith(("GPU-", "MIG-"))


def free_addresses(count: int) -> list[str]:
    """Addresses of this machine that nobody listens at.

    Below the ports that a system gives to whoever asks for any.
    """
    ports = random.sample(range(10_000, 32_768), 22_768)
    addresses: list[str] = []
    while len(addresses) < count:
        if not ports:
            raise InputError(
                f"There are not as many free ports. Received: workers={count}"
            )
        with contextlib.suppress(OSError), socket.socket() as server:
            server.bind(("127.0.0.1", ports[-1]))
            addresses.append(f"127.0.0.1:{ports[-1]}")
        ports.pop()
    return addresses


def _say(text: str) -> None:
    print(f"launch {text}", flush=True)
