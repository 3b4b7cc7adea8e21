"""The example for Kubernetes is what the operator and the package read."""

import copy
import json
import re
from pathlib import Path

import pytest

from keras_mnist_sum.commands import train
from keras_mnist_sum.distribution.cluster import find_cluster

yaml = pytest.importorskip("yaml", reason="requirements-examples.txt")
ROOT = Path(__file__).parents[2]
JOB, CLAIM, POLICY = yaml.safe_load_all(
    (ROOT / "examples" / "tfjob.yaml").read_text()
)
WORKER = JOB["spec"]["tfReplicaSpecs"]["Worker"]
POD = WORKER["template"]["spec"]
[CONTAINER] = POD["containers"]
PLAIN = {"str": str, "int": int, "bool": bool, "object": object}


def check(value, kind, path=""):
    """Checks a manifest by the models of the operator's and Kubernetes's own
    clients, which are generated from their schemas.

    Raises:
        ValueError: If a field is unknown, missing or of another type.
    """
    container = re.fullmatch(r"(dict|list)[(\[](?:str, )?(\w+)[)\]]", kind)
    if container or kind in PLAIN:
        expected = {"dict": dict, "list": list}.get(
            container and container[1], PLAIN.get(kind)
        )
        if not isinstance(value, expected):
            raise ValueError(f"{path} is no {kind}: {value!r}")
        if container:
            items = value.items() if expected is dict else enumerate(value)
            for name, item in items:
                check(item, container[2], f"{path}.{name}")
        return
    from kubeflow.training import models
    from kubernetes import client

    model = getattr(models, kind, None) or getattr(client, kind)
    fields = {json: name for name, json in model.attribute_map.items()}
    unknown = set(value) - set(fields)
    if unknown:
        raise ValueError(f"{path} has no {', '.join(sorted(unknown))}")
    model(**{fields[name]: item for name, item in value.items()})
    for name, item in value.items():
        check(item, model.openapi_types[fields[name]], f"{path}.{name}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "manifest, kind",
    [
        (JOB, "KubeflowOrgV1TFJob"),
        (CLAIM, "V1PersistentVolumeClaim"),
        (POLICY, "V1NetworkPolicy"),
    ],
    ids=["job", "claim", "policy"],
)
def test_manifests_are_those_of_the_operator_and_of_kubernetes(manifest, kind):
    pytest.importorskip("kubeflow.training", reason="requirements-examples.txt")
    check(manifest, kind)
    wrong = copy.deepcopy(manifest)
    wrong["spec"]["nosuch"] = 1
    with pytest.raises(ValueError, match="has no nosuch"):
        check(wrong, kind)
    wrong["spec"] = "text"
    with pytest.raises(ValueError):
        check(wrong, kind)


def test_lost_worker_starts_all_again_on_the_same_run_directory():
    assert JOB["spec"]["runPolicy"]["backoffLimit"] > 0
    assert WORKER["restartPolicy"] == "OnFailure"
    [mount] = CONTAINER["volumeMounts"]
    [volume] = POD["volumes"]
    assert volume["name"] == mount["name"]
    claim = volume["persistentVolumeClaim"]["claimName"]
    assert claim == CLAIM["metadata"]["name"]
    assert CLAIM["spec"]["accessModes"] == ["ReadWriteMany"]
    command = CONTAINER["command"]
    run_dir = command[command.index("--run-dir") + 1]
    assert run_dir.startswith(f"{mount['mountPath']}/")


def test_only_the_job_s_own_pods_reach_its_workers():
    mine = {
        "matchLabels": {
            "training.kubeflow.org/job-name": JOB["metadata"]["name"]
        }
    }
    spec = POLICY["spec"]
    assert spec["podSelector"] == mine
    assert spec["policyTypes"] == ["Ingress"]
    [rule] = spec["ingress"]
    assert rule["from"] == [{"podSelector": mine}]
    [port] = rule["ports"]
    assert [port["port"]] == [x["containerPort"] for x in CONTAINER["ports"]]


def test_operator_s_container_runs_a_command_that_is_there():
    import argparse

    assert CONTAINER["name"] == "tensorflow"
    python, program, *flags = CONTAINER["command"]
    assert python == "python" and (ROOT / program).is_file()
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    assert parser.parse_args(flags).verbose == 2


def test_cluster_is_what_the_operator_says(monkeypatch):
    """By the form of `TF_CONFIG` that Training Operator 1.9 sets."""
    addresses = [f"mnist-sum-worker-{i}.default.svc:2222" for i in range(2)]
    config = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": 1},
        "environment": "cloud",
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    cluster = find_cluster()
    assert (list(cluster.addresses), cluster.worker) == (addresses, 1)
