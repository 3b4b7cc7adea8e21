"""What is installed is what the code and the pins expect."""

import importlib.metadata
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from packaging.requirements import Requirement

import keras_mnist_sum
from keras_mnist_sum.utils import extras
from keras_mnist_sum.utils.shell import CONSOLE_COMMAND

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {
    name: list(map(Requirement, lines))
    for name, lines in PROJECT["optional-dependencies"].items()
}
BASE = list(map(Requirement, PROJECT["dependencies"]))


def pins(name):
    """Requirements of a file, by the name of the package."""
    lines = (ROOT / name).read_text().splitlines()
    lines = [re.sub("(^| +)#.*", "", line) for line in lines]
    found = map(Requirement, [x for x in lines if x and x[:2] != "-r"])
    return {requirement.name.lower(): requirement for requirement in found}


def external(requirements):
    return [x for x in requirements if x.name != PROJECT["name"]]


def test_each_requirement_of_the_package_is_pinned_within_its_range():
    pinned = pins("requirements-examples.txt") | pins("requirements.txt")
    for requirement in external(sum(EXTRAS.values(), BASE)):
        [pin] = pinned[requirement.name.lower()].specifier
        assert pin.operator == "==", requirement
        assert pin.version in requirement.specifier, requirement
        assert requirement.specifier, f"{requirement} takes any version"


def test_all_pins_are_exact_and_no_package_is_pinned_twice():
    files = {path.name: pins(path.name) for path in ROOT.glob("require*.txt")}
    assert len(files) == 5
    for name, found in files.items():
        for requirement in found.values():
            [pin] = requirement.specifier
            assert pin.operator == "==" and "*" not in pin.version, name
    assert not set(files["requirements.txt"]) & set(
        files["requirements-examples.txt"]
    )


def test_extra_all_is_all():
    [everything] = EXTRAS["all"]
    assert everything.extras == set(EXTRAS) - {"all"}


def test_each_package_is_named_with_the_extra_that_brings_it():
    """In the error where one is missing."""
    distributions = importlib.metadata.packages_distributions()
    brought = {x.name: "" for x in BASE} | {
        x.name: extra
        for extra, requirements in EXTRAS.items()
        for x in external(requirements)
    }
    del brought["ray"]  # It calls the package, and not the other way round.
    normal = {re.sub("[-_.]+", "-", x).lower(): x for x in brought}
    named = {}
    for package, (_, extra) in extras.PACKAGES.items():
        [name] = {
            normal[each]
            for x in distributions[package]
            if (each := re.sub("[-_.]+", "-", x).lower()) in normal
        }
        named[name] = extra
    assert named == brought


def test_console_command_is_the_package_as_a_program():
    assert PROJECT["scripts"] == {
        CONSOLE_COMMAND: "keras_mnist_sum.__main__:main"
    }


def test_citation_has_the_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {keras_mnist_sum.__version__}\n" in text


def test_images_copy_what_they_need():
    ignore = (ROOT / ".dockerignore").read_text().split()
    for name in ("Dockerfile", "Dockerfile.serving"):
        text = (ROOT / name).read_text()
        for line in re.findall("^COPY (.*) [^ ]+$", text, re.MULTILINE):
            for source in line.split():
                assert list(ROOT.glob(source)), source
                kept = [x for x in ignore if fnmatch(source, x.lstrip("!"))]
                assert kept[-1][0] == "!", source
        assert re.search("\nFROM [^:]+:[0-9]+[.][0-9]+[.][0-9]+-", text)
        assert re.search("^USER [1-9]", text, re.MULTILINE)
