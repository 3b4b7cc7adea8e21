import json

from keras_mnist_sum.utils import environment


def test_facts_are_json():
    facts = environment.facts(replicas=2)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["replicas"] == 2 and facts["cores"] >= 1
    assert facts["packages"]["numpy"]


def test_drift_is_empty_on_the_same_machine():
    assert environment.drift(environment.to_json()) == ""


def test_drift_names_what_changed_with_both_values():
    facts = environment.facts()
    facts["packages"]["keras"] = "2.0"
    facts["time"] = "another time"
    drift = environment.drift(json.dumps(facts), replicas=2)
    keras = environment.version("keras")
    assert drift == f"keras 2.0 then, {keras} now, replicas 1 then, 2 now"


def test_drift_says_that_a_record_cannot_be_read():
    for text in ("", "[]", "{", '{"packages": 3}'):
        assert "cannot be read" in environment.drift(text)


def test_version_of_a_missing_package_is_none():
    assert environment.version("no-such-package") is None
