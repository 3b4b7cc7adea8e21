"""The tasks of a job step of Slurm train together; a real Slurm, two nodes."""

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from keras_mnist_sum.distribution.cluster import free_addresses
from keras_mnist_sum.distribution.slurm_step import expand_names
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.run_directory import Run

ROOT = Path(__file__).parents[2]
DAEMONS = ("munged", "slurmctld", "slurmd")
MISSING = [name for name in DAEMONS if not shutil.which(name)]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"no {', '.join(MISSING)}: apt-get install slurm-wlm munge",
    ),
]
CONFIG = """
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={0}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={1} CPUs=1
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={2} CPUs=1
PartitionName=all Nodes=ALL Default=YES State=UP
"""


class Slurm:
    """A controller and two nodes, n1 and n2, which are no host names."""

    def __init__(self, folder):
        self.folder = folder
        python = Path(sys.executable).parent
        self.environment = {
            **{k: v for k, v in os.environ.items() if k[:6] != "SLURM_"},
            "SLURM_CONF": f"{folder}/slurm.conf",
            "PATH": f"{python}:{os.environ['PATH']}",
        }

    def call(self, *command, check=True):
        """What a command of Slurm prints."""
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def submit(self, *arguments):
        """Submits the example; returns the job's ID."""
        log = f"--output={self.folder}/%j.log"
        example = "examples/slurm.sbatch"
        return self.call(
            "sbatch", "--parsable", log, example, *arguments
        ).strip()

    def cancel_all(self):
        self.call("scancel", "--user", getpass.getuser(), check=False)
        for _ in until("the end of all jobs", 60):
            if not self.call("squeue", "--noheader", check=False).strip():
                return

    def output(self, job):
        path = self.folder / f"{job}.log"
        return path.read_text() if path.exists() else ""

    def restarts(self, job):
        shown = self.call("scontrol", "show", "job", job)
        return int(shown.partition("Restarts=")[2].split()[0])

    def wait(self, job):
        """Until the job has left the queue; returns its state."""
        state = ""
        for _ in until(f"the end of job {job}"):
            shown = self.call("scontrol", "show", "job", job, check=False)
            state = shown.partition("JobState=")[2].split(" ")[0]
            if state not in ("PENDING", "RUNNING", "COMPLETING"):
                return state


def until(what, seconds=240):
    """Yields a few times a second, until it is too late."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.2)
    pytest.fail(f"waited for {what}")


def task(job, rank):
    """The process of one of the job's tasks."""
    for _ in until(f"task {rank}"):
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (folder / "cmdline").read_bytes().split(b"\0")
                variables = (folder / "environ").read_bytes().split(b"\0")
                if command[1:2] == [b"train.py"] and {
                    b"SLURM_JOB_ID=%d" % int(job),
                    b"SLURM_PROCID=%d" % rank,
                } <= set(variables):
                    return int(folder.name)


@pytest.fixture(scope="module")
def slurm():
    folder = Path(tempfile.mkdtemp(prefix="slurm"))  # A socket's path is short.
    cluster = Slurm(folder)
    ports = [x.rpartition(":")[2] for x in free_addresses(3)]
    user = getpass.getuser()
    text = CONFIG.format(*ports, folder=folder, user=user)
    (folder / "slurm.conf").write_text(text)
    key = folder / "key"
    key.write_bytes(os.urandom(64))
    key.chmod(0o600)
    munge = f"""munged --foreground --force --socket={folder}/munge
        --key-file={key} --seed-file={folder}/seed
        --pid-file={folder}/munge.pid --log-file={folder}/munge.log"""
    daemons = [
        munge.split(),
        ["slurmctld", "-D"],
        ["slurmd", "-D", "-N", "n1"],
        ["slurmd", "-D", "-N", "n2"],
    ]
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        log = stack.enter_context(open(folder / "log", "w"))
        for command in daemons:
            process = subprocess.Popen(
                command, env=cluster.environment, stdout=log, stderr=log
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            for _ in until("munge", 20):
                if (folder / "munge").exists():
                    break
        stack.callback(cluster.cancel_all)
        for _ in until(f"two nodes: {(folder / 'log').read_text()}", 60):
            states = cluster.call("sinfo", "-hNo", "%t", check=False)
            if states.split() == ["idle", "idle"]:
                break
        yield cluster


@pytest.fixture
def flags(npz):
    return (
        *f"--data {npz} --preset fast --steps 60 --batch-size 8".split(),
        *"--validation-fraction 0 --checkpoint-every 3 --verbose 2".split(),
    )


def weights(run_dir):
    arrays = load_model(Run(run_dir).model).get_weights()
    return np.concatenate([array.ravel() for array in arrays])


def test_job_goes_on_to_the_same_bits_after_a_lost_task_and_a_signal(
    slurm, flags, tmp_path
):
    """A task is killed; then SIGTERM comes, as before time is up; then the
    job is cancelled, which ends it, and submitted again."""
    job = slurm.submit(*flags, "--run-dir", tmp_path / "whole")
    assert slurm.wait(job) == "COMPLETED"
    assert "2 replicas (2 workers" in slurm.output(job)

    run = Run(tmp_path / "disturbed")
    arguments = [*flags, "--run-dir", run.path]
    job = slurm.submit(*arguments)

    def wait_for_checkpoint(newer_than):
        for _ in until(f"a checkpoint\n{slurm.output(job)}"):
            names = {path.name for path in run.checkpoints.glob("*")}
            if names - newer_than:
                return names

    names = wait_for_checkpoint(set())
    os.kill(task(job, 1), signal.SIGKILL)
    for _ in until("a restart"):
        if slurm.restarts(job) == 1:
            break
    wait_for_checkpoint(names)
    slurm.call("scancel", "--signal=TERM", job)
    for _ in until("another restart"):
        if slurm.restarts(job) == 2:
            break
    saved = slurm.output(job).count(", saved")
    assert saved, slurm.output(job)
    wait_for_checkpoint({path.name for path in run.checkpoints.glob("*")})
    slurm.call("scancel", job)
    assert slurm.wait(job) == "CANCELLED"
    assert slurm.output(job).count(", saved") > saved, slurm.output(job)
    assert not run.is_finished

    job = slurm.submit(*arguments)
    assert slurm.wait(job) == "COMPLETED"
    np.testing.assert_array_equal(
        weights(run.path), weights(tmp_path / "whole")
    )


def test_wrong_input_is_not_tried_again(slurm, tmp_path):
    job = slurm.submit("--preset", "nosuch", "--run-dir", tmp_path / "run")
    assert slurm.wait(job) == "FAILED"
    assert slurm.restarts(job) == 0
    assert "nosuch" in slurm.output(job)


FIND = """
from keras_mnist_sum.commands import cli
from keras_mnist_sum.distribution.cluster import find_cluster
import sys
def find():
    print(*find_cluster(slurm=True).addresses)
sys.exit(cli.run(find))
"""


def test_tasks_are_found_where_slurm_reaches_their_nodes(slurm):
    """The nodes' names are no host names."""
    [line] = set(
        slurm.call(
            *"srun --nodes=2 --ntasks=3 --overcommit python -c".split(), FIND
        ).splitlines()
    )
    addresses = line.split()
    assert len(addresses) == len(set(addresses)) == 3
    assert {x.partition(":")[0] for x in addresses} == {"127.0.0.1"}


def test_tasks_in_another_order_are_refused(slurm):
    command = "srun --nodes=2 --ntasks=4 --overcommit --distribution=cyclic"
    said = slurm.call(*command.split(), "python", "-c", FIND, check=False)
    assert "srun --distribution=block. Received: task 1 on node 1" in said


@pytest.mark.parametrize(
    "names", ["n1", "n[1-3,5]", "a[08-11]", "r[1-2]n[01-02,7],x,y-z[3]"]
)
def test_lists_of_nodes_are_read_as_slurm_reads_them(slurm, names):
    shown = slurm.call("scontrol", "show", "hostnames", names)
    assert expand_names(names) == shown.split()
