"""Train in workers that Ray starts, and starts again when one is lost.

    pip install -r requirements.txt -r requirements-examples.txt
    python -m examples.ray_train /runs/mine [FLAG ...]

All machines need the repository at the same path, and reach the run directory.
`ScalingConfig(num_workers=2, use_gpu=True)` gives each worker a GPU.
"""

import os
import sys
from pathlib import Path


def work(arguments: list[str]) -> None:
    """What each worker does; Ray has set TF_CONFIG."""
    import train

    code = train.main(arguments)
    if code:
        raise SystemExit(code)


def main(run_dir: str, *flags: str) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # else Ray tells its makers
    import ray.train
    from ray.train.tensorflow import TensorflowTrainer

    repository = str(Path(__file__).resolve().parent.parent)
    paths = os.pathsep.join([repository, os.environ.get("PYTHONPATH", "")])
    ray.init(runtime_env={"env_vars": {"PYTHONPATH": paths}})
    path = str(Path(run_dir).resolve())
    TensorflowTrainer(
        work,
        train_loop_config=["--run-dir", path, *flags],
        scaling_config=ray.train.ScalingConfig(num_workers=2),
        run_config=ray.train.RunConfig(
            storage_path=f"{path}-ray",  # Ray's own notes; else in ~
            failure_config=ray.train.FailureConfig(max_failures=3),
        ),
    ).fit()


if __name__ == "__main__":
    main(*sys.argv[1:])
