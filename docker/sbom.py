"""Write bills of materials (SBOM, CycloneDX 1.6) of the wheel and of images, from the lock.

    python docker/sbom.py OUTPUT BASE NAME ...

NAME is "wheel" or a target of the Dockerfile, BASE the images' base image. The same checkout gives
the same bytes: there is no time and no serial number in them.
"""

import argparse
import hashlib
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    XsUri,
)
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.markers import Marker
from select_requirements import (
    EXTRAS,
    direct_requirements,
    normalise,
    parse_lock,
    select_packages,
    with_dependencies,
)

ROOT = Path(__file__).resolve().parents[1]
WHEEL = "wheel"
_LOCK, _GPU_LOCK = "requirements.lock", "docker/requirements-gpu.lock"
_NETWORKS = (".npz", ".tflite")
# A folder that two images lack; see the Dockerfile.
_PRETRAINED, _LIGHT = "networks/pretrained", ("client", "base")
_LICENSES = LicenseFactory()

# The lines of a package in the lock, and the packages that require it.
Packages = dict[str, tuple[str, set[str]]]


def make_bom(name: str, base: str) -> Bom:
    """Return the bill of materials of the wheel or of an image.

    Args:
        name: "wheel", or a target of the Dockerfile.
        base: The name of the images' base image, perhaps with its digest.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock, gpu_lock = ((ROOT / path).read_text() for path in (_LOCK, _GPU_LOCK))
    if name == WHEEL:
        packages, required = wheel_packages(parse_lock(lock), project)
    else:
        packages = _installed_here(select_packages(lock, gpu_lock, project, name))
        required = set(packages)
    components = {
        package: _package(package, lines, package in required)
        for package, (lines, _) in packages.items()
    }
    product = _product(name, project, _GPU_LOCK if name == "train-gpu" else _LOCK)
    parts = [*([] if name == WHEEL else [_base_image(base)]), *_networks(name)]
    bom = Bom(components=[*components.values(), *parts], metadata=BomMetaData(component=product))
    # Only here: the constructor takes a random number and the time for none.
    bom.serial_number = None
    bom.metadata.timestamp = None
    for package, component in components.items():
        children = [components[child] for child, (_, by) in packages.items() if package in by]
        bom.register_dependency(component, children)
    tops = {package for package, (_, by) in packages.items() if not by & packages.keys()}
    tops |= direct_requirements(project, "") & packages.keys()
    bom.register_dependency(product, [*(components[top] for top in sorted(tops)), *parts])
    return bom


def _installed_here(packages: Packages) -> Packages:
    """Return the packages that this machine's images have: the lock is for all machines."""
    markers = {
        name: re.search(r"^\S+ ; (.+?)(?: \\)?$", lines, re.MULTILINE)
        for name, (lines, _) in packages.items()
    }
    return {
        name: packages[name]
        for name, marker in markers.items()
        if marker is None or Marker(marker[1]).evaluate()
    }


def wheel_packages(packages: Packages, project: dict) -> tuple[Packages, set[str]]:
    """Return what the wheel and its extras ask for, and what it asks for without extras."""
    extras = project["optional-dependencies"].keys() - {"dev"}
    direct = {name for extra in extras for name in direct_requirements(project, extra)}
    there = with_dependencies(packages, direct & packages.keys(), set())
    required = with_dependencies(packages, direct_requirements(project, ""), set())
    return {name: packages[name] for name in sorted(there)}, required


def _product(name: str, project: dict, lock: str) -> Component:
    content = (ROOT / lock).read_bytes()
    return Component(
        name=project["name"] if name == WHEEL else f"{project['name']}/{name}",
        version=project["version"],
        description=project["description"],
        type=ComponentType.LIBRARY if name == WHEEL else ComponentType.CONTAINER,
        bom_ref=project["name"],
        licenses=[_LICENSES.make_with_expression(project["license"])],
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.BUILD_META,
                url=XsUri(lock),
                comment="The hashes of every package's files.",
                hashes=[_sha256(hashlib.sha256(content).hexdigest())],
            )
        ],
    )


def _package(name: str, lines: str, is_required: bool) -> Component:
    version = re.match(r"\S+?==([^\s;]+)", lines)
    if version is None:
        raise ValueError(f"{_LOCK}: {name} has no version; update it with `make lock`")
    return Component(
        name=name,
        version=version[1],
        type=ComponentType.LIBRARY,
        bom_ref=f"{name}=={version[1]}",
        purl=PackageURL("pypi", None, name, version[1]),
        scope=ComponentScope.REQUIRED if is_required else ComponentScope.OPTIONAL,
        licenses=_licenses(name, version[1]),
    )


def _licenses(name: str, version: str) -> list:
    """Return the licences that an installed package states; none for what is not installed."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return []
    if normalise(found.version) != normalise(version):
        return []
    text = found.metadata.get("License-Expression") or found.metadata.get("License") or ""
    # Some packages have the whole licence there.
    if text and len(text) < 100 and "\n" not in text:
        return [_LICENSES.make_from_string(text)]
    classifiers = found.metadata.get_all("Classifier") or []
    names = {c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License ::")}
    return [_LICENSES.make_with_name(name) for name in sorted(names)]


def _networks(name: str) -> list[Component]:
    """Return the trained networks that come with the code."""
    code = ROOT / "components"
    files = sorted(file for suffix in _NETWORKS for file in code.rglob(f"*{suffix}"))
    if name in _LIGHT:
        files = [file for file in files if file.parent != code / _PRETRAINED]
    return [
        Component(
            name=file.relative_to(code).as_posix(),
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref=f"network/{file.relative_to(code).as_posix()}",
            hashes=[_sha256(hashlib.sha256(file.read_bytes()).hexdigest())],
        )
        for file in files
    ]


def _base_image(reference: str) -> Component:
    name, _, digest = reference.partition("@")
    path, _, tag = name.rpartition(":")
    if not path or "/" in tag:
        path, tag = name, ""
    return Component(
        name=path,
        version=tag or None,
        description="The base image. What is in it is not listed here.",
        type=ComponentType.CONTAINER,
        bom_ref="base-image",
        hashes=[_sha256(digest.removeprefix("sha256:"))] if digest else [],
    )


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def main() -> None:
    """Write the bills that the command line names, and print the files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path, help="folder to write")
    parser.add_argument("base", help="the images' base image")
    parser.add_argument("names", nargs="+", choices=[WHEEL, *EXTRAS], metavar="NAME")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        path = arguments.output / f"emotion-ai-{name}.cdx.json"
        bom = make_bom(name, arguments.base)
        path.write_text(JsonV1Dot6(bom).output_as_string(indent=1) + "\n")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
