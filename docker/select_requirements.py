"""Say which lines of requirements.lock an image installs.

    python select_requirements.py IMAGE > requirements.txt

The lock names for each package who asks for it ("via"), so what an extra of pyproject.toml needs
can be read off it: versions and hashes stand in the lock alone. The image for GPUs takes another
TensorFlow, and what only that asks for, from requirements-gpu.lock. Run in the build, on the
standard library, in a folder with both locks and pyproject.toml.
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = "emotion-ai"
# The extra of pyproject.toml that an image's code imports; "" is the package without extras, which
# is what all of them share.
EXTRAS = {
    "common": "",
    "client": "client",
    "base": "steps",
    "serve": "serve",
    "train": "train",
    "train-gpu": "train",
}
# Installed without what they ask for: the part of kfp that runs a step imports nothing else.
ALONE = {"base": {"kfp"}, "train": {"kfp"}, "train-gpu": {"kfp"}}
# TensorFlow asks for these and imports none of them, with all that comes with them.
UNUSED = {"libclang", "setuptools", "tensorboard"}

_NAME = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([a-z,]+)\])?")
_VIA = re.compile(r"^    # via (.+)$", re.MULTILINE)


def asked_for(project: dict, extra: str) -> set[str]:
    """The packages that the project names for an extra, those of the extras it contains too."""
    names = set()
    wanted = project["optional-dependencies"][extra] if extra else []
    for requirement in [*project["dependencies"], *wanted]:
        name, extras = _NAME.match(requirement).groups()
        if name != PROJECT:
            names.add(normal(name))
            continue
        for inner in extras.split(","):
            names |= asked_for(project, inner)
    return names


def normal(name: str) -> str:
    """A package's name as the index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parsed(lock: str) -> dict[str, tuple[str, set[str]]]:
    """Of each package in the lock: its lines, and who asks for it."""
    packages = {}
    for block in re.split(r"^(?=\S)", lock, flags=re.MULTILINE):
        if name := _NAME.match(block):
            via = _VIA.search(block)
            parents = {normal(parent) for parent in via[1].split(", ")} if via else set()
            packages[normal(name[1])] = (_VIA.sub("", block).rstrip() + "\n", parents)
    return packages


def selection(lock: str, gpu_lock: str, project: dict, image: str) -> str:
    """The lines of the locks that the image installs. Raises `KeyError` for what they lack."""
    packages = parsed(lock)
    if not any(parents for _, parents in packages.values()):
        raise ValueError('requirements.lock does not say "via"; write it anew with `make lock`')
    chosen = asked_for(project, EXTRAS[image])
    while more := {
        name
        for name, (_, parents) in packages.items()
        if parents & chosen and name not in chosen | UNUSED
    }:
        chosen |= more
    chosen |= ALONE.get(image, set())
    if image == "train-gpu":
        gpu_packages = parsed(gpu_lock)
        chosen = chosen - {"tensorflow-cpu"} | gpu_packages.keys() - packages.keys()
        packages = gpu_packages | packages
    return "".join(packages[name][0] for name in sorted(chosen))


if __name__ == "__main__":
    names = ("requirements.lock", "requirements-gpu.lock", "pyproject.toml")
    main, gpu, pyproject = (Path(name).read_text() for name in names)
    sys.stdout.write(selection(main, gpu, tomllib.loads(pyproject)["project"], sys.argv[1]))
