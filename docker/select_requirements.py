"""Print the lines of requirements.lock that an image installs.

    python select_requirements.py IMAGE > requirements.txt

The lock names the packages that require each package ("via"), so it says what an extra of
pyproject.toml needs; versions and hashes are in the lock alone. The image for GPUs takes another
TensorFlow, and the packages that only that one requires, from requirements-gpu.lock. Runs in the
build, with the standard library alone, in a folder with both locks and pyproject.toml.
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = "emotion-ai"
# The extra of pyproject.toml that an image's code imports; "" is the package without extras, which
# all images share.
EXTRAS = {
    "common": "",
    "client": "local",
    "base": "steps",
    "serve": "serve",
    "train": "train",
    "train-gpu": "train",
}
# Installed without their dependencies: the part of kfp that runs a step imports nothing else.
WITHOUT_DEPENDENCIES = {"base": {"kfp"}, "train": {"kfp"}, "train-gpu": {"kfp"}}
# TensorFlow requires these and their dependencies, and imports none of them.
UNUSED = {"libclang", "setuptools", "tensorboard"}

_NAME = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([a-z,]+)\])?")
_VIA = re.compile(r"^    # via (.+)$", re.MULTILINE)


def direct_requirements(project: dict, extra: str) -> set[str]:
    """Return the packages that the project names for an extra and for the extras inside it.

    Args:
        project: The table `project` of pyproject.toml.
        extra: Name of the extra; "" for the package without extras.
    """
    names = set()
    optional = project["optional-dependencies"][extra] if extra else []
    for requirement in [*project["dependencies"], *optional]:
        name, extras = _NAME.match(requirement).groups()
        if name != PROJECT:
            names.add(normalise(name))
            continue
        for inner in extras.split(","):
            names |= direct_requirements(project, inner)
    return names


def normalise(name: str) -> str:
    """Return a package's name as indexes write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_lock(lock: str) -> dict[str, tuple[str, set[str]]]:
    """Return the lines of each package in a lock, and the packages that require it."""
    packages = {}
    for block in re.split(r"^(?=\S)", lock, flags=re.MULTILINE):
        if name := _NAME.match(block):
            via = _VIA.search(block)
            parents = {normalise(parent) for parent in via[1].split(", ")} if via else set()
            packages[normalise(name[1])] = (_VIA.sub("", block).rstrip() + "\n", parents)
    return packages


def select_packages(
    lock: str, gpu_lock: str, project: dict, image: str
) -> dict[str, tuple[str, set[str]]]:
    """Return the packages that an image installs, as `parse_lock` does.

    Args:
        lock: Content of requirements.lock.
        gpu_lock: Content of requirements-gpu.lock.
        project: The table `project` of pyproject.toml.
        image: A key of `EXTRAS`.

    Raises:
        KeyError: The locks lack a package that the image needs, or the image is unknown.
        ValueError: The lock does not name the packages that require each package.
    """
    packages = parse_lock(lock)
    if not any(parents for _, parents in packages.values()):
        raise ValueError('requirements.lock has no "via" comments; update it with `make lock`')
    selected = with_dependencies(packages, direct_requirements(project, EXTRAS[image]), UNUSED)
    selected |= WITHOUT_DEPENDENCIES.get(image, set())
    if image == "train-gpu":
        gpu_packages = parse_lock(gpu_lock)
        selected = selected - {"tensorflow-cpu"} | gpu_packages.keys() - packages.keys()
        # The other lock has it for machines without `tensorflow-cpu`, and without CUDA.
        packages = gpu_packages | packages | {"tensorflow": gpu_packages["tensorflow"]}
    return {name: packages[name] for name in sorted(selected)}


def with_dependencies(
    packages: dict[str, tuple[str, set[str]]], names: set[str], unused: set[str]
) -> set[str]:
    """Return the packages of these names and all that they require, but the unused ones."""
    selected = set(names)
    while more := {
        name
        for name, (_, parents) in packages.items()
        if parents & selected and name not in selected | unused
    }:
        selected |= more
    return selected


if __name__ == "__main__":
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    lock, gpu_lock = (
        Path(name).read_text() for name in ("requirements.lock", "requirements-gpu.lock")
    )
    packages = select_packages(lock, gpu_lock, project, sys.argv[1])
    sys.stdout.write("".join(lines for lines, _ in packages.values()))
