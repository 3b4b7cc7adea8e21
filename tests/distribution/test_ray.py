"""Ray Train starts workers that train together."""

import json
from pathlib import Path

import pytest

from keras_mnist_sum.formats.run_directory import Run

pytest.importorskip("ray.train", reason="Ray is not installed: [ray]")
ROOT = Path(__file__).parents[2]


def work(arguments):
    """What each worker does; Ray has set TF_CONFIG."""
    import train

    code = train.main(arguments)
    if code:
        raise SystemExit(code)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_workers_of_ray_train_together(npz, tmp_path):
    import ray
    from ray.train import RunConfig
    from ray.train import ScalingConfig
    from ray.train.tensorflow import TensorflowTrainer

    run_dir = tmp_path / "run"
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    ray.init(num_cpus=2, runtime_env=environment)
    try:
        flags = f"--data {npz} --preset fast --steps 12 --batch-size 8"
        TensorflowTrainer(
            work,
            train_loop_config=[*flags.split(), "--run-dir", str(run_dir)],
            scaling_config=ScalingConfig(num_workers=2),
            run_config=RunConfig(storage_path=str(tmp_path / "ray")),
        ).fit()
    finally:
        ray.shutdown()
    facts = json.loads(Run(run_dir).environment.read_text())
    assert facts["replicas"] == 2
    assert Run(run_dir).results.is_file()
