"""Train in workers that Ray starts, and starts again when one is lost.

    python -m examples.ray_train /runs/mine [FLAG ...]

`requirements-examples.txt` has what it takes. All machines need the repository
at the same path, and reach the run directory.
`ScalingConfig(num_workers=2, use_gpu=True)` gives each worker a GPU.
"""

import os
import sys


def work(arguments: list[str]) -> None:
    import train  # In each worker, where Ray has set TF_CONFIG.

    if code := train.main(arguments):
        raise SystemExit(code)


def main(run_dir: str, *flags: str) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # else Ray tells its makers
    import ray.train
    from ray.train.tensorflow import TensorflowTrainer

    path = os.path.abspath(run_dir)
    ray.init(runtime_env={"env_vars": {"PYTHONPATH": ":".join(sys.path)}})
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
