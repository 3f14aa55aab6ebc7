"""The revision of a step: a hash over the code that the step runs, and over nothing else.

KFP caches a step by its image's name and its environment, and both carry this revision. Code that a
step does not run, such as the console's page, must not change it, or every edit would train both
networks again. So imports are followed from the step's function, those inside functions too; the
versions of third-party packages come from requirements.lock.
"""

import ast
import hashlib
import importlib.metadata
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import emotion_ai
from emotion_ai import pipeline
from emotion_ai.errors import InputError

_PACKAGE = "emotion_ai"
_COMPONENTS = Path(emotion_ai.__path__[0])
_PIPELINE = Path(pipeline.__path__[0])
_DIGITS = 12

# What a module uses without importing it: programs that it starts, and files beside it.
_STARTS = {
    "emotion_ai.server.process": ("emotion_ai.server.__main__",),
    # A pod with TLS starts it beside, from the same image.
    "emotion_ai.registry.fetching": ("emotion_ai.serving_api.ssl_config",),
}
_READS = {
    "emotion_ai.apps.console.application": "assets/*",
    "emotion_ai.litert.pretrained": "pretrained.tflite",
    "emotion_ai.networks.weights": "pretrained/*.npz",
    "emotion_ai.serving_api.messages": "*.binpb",
}
# Packages that are not named as the module is.
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "ai_edge_litert": "ai-edge-litert",
    "cv2": "opencv-python-headless",
    "dlib": "dlib-bin",
    "google.api_core": "google-api-core",
    "google.auth": "google-auth",
    "google.cloud.storage": "google-cloud-storage",
    "google.protobuf": "protobuf",
    "grpc": "grpcio",
    "grpc_health": "grpcio-health-checking",
    "pydantic_core": "pydantic-core",
    "sklearn": "scikit-learn",
    "tensorflow": "tensorflow-cpu",
    "tensorflow_serving": "tensorflow-serving-api",
    "yaml": "pyyaml",
}
# Keras computes on a backend that it does not require.
_BACKENDS = {"keras": "tensorflow-cpu"}
# What runs a step's function; the images hold it without what it requires.
_RUNNER = "kfp"


class Closure(NamedTuple):
    """What a program runs: modules of this package, data files, and third-party packages."""

    modules: frozenset[str]
    files: frozenset[Path]
    packages: frozenset[str]


@cache
def step_revision(step: str) -> str:
    """Hash what a step runs.

    Args:
        step: the step's name, such as "train-keypoints".

    Returns:
        Twelve hexadecimal digits.
    """
    return _digest(step_closure(step))


@cache
def program_revision(module: str) -> str:
    """Hash what `python -m MODULE` runs, as `step_revision` does."""
    return _digest(program_closure(module))


def program_closure(module: str) -> Closure:
    """Everything that `python -m MODULE` runs."""
    return _closure({module})


def step_closure(step: str) -> Closure:
    """Everything that a step's function imports, directly or not."""
    path = _COMPONENTS / "steps" / step.replace("-", "_") / "component.py"
    functions = [node for node in _parse(path).body if isinstance(node, ast.FunctionDef)]
    found = {name for function in functions for name in _imported(function)}
    closure = _closure({name for name in found if _is_ours(name)})
    return closure._replace(packages=closure.packages | {_RUNNER})


def _closure(start: Iterable[str]) -> Closure:
    modules: set[str] = set()
    foreign: set[str] = set()
    waiting = set(start)
    while waiting:
        module = waiting.pop()
        modules.add(module)
        names = {*_imports(module), *_STARTS.get(module, ())}
        foreign |= {name for name in names if not _is_ours(name)}
        waiting |= {name for name in names if _is_ours(name)} - modules
    files = {
        path
        for module in modules & _READS.keys()
        for path in _source(module).parent.glob(_READS[module])
    }
    return Closure(frozenset(modules), frozenset(files), frozenset(_with_requirements(foreign)))


@cache
def _imports(module: str) -> frozenset[str]:
    return frozenset(_imported(_parse(_source(module))))


def _imported(tree: ast.AST) -> Iterator[str]:
    """Names of the modules that code imports; those for type checkers alone are left out."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        return
    if isinstance(tree, ast.Import):
        yield from (alias.name for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom) and tree.module:
        for alias in tree.names:
            name = f"{tree.module}.{alias.name}"
            # A package's own file counts only where something of it is imported.
            yield name if _is_ours(name) and _is_module(name) else tree.module
    for child in ast.iter_child_nodes(tree):
        yield from _imported(child)


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == _PACKAGE


def _is_module(name: str) -> bool:
    try:
        _source(name)
    except FileNotFoundError:
        return False
    return True


@cache
def _source(module: str) -> Path:
    """The file of a module of this package. Raises `FileNotFoundError`."""
    parts = module.split(".")[1:]
    root, parts = (_PIPELINE, parts[1:]) if parts[:1] == ["pipeline"] else (_COMPONENTS, parts)
    folder = root.joinpath(*parts)
    for path in (folder.with_suffix(".py"), folder / "__init__.py"):
        if path.is_file():
            return path
    raise FileNotFoundError(module)


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


def _with_requirements(modules: Iterable[str]) -> set[str]:
    """The third-party packages of these modules, and all that they require."""
    required = _requirements()
    found: set[str] = set()
    waiting = {_distribution(name) for name in modules} - {""}
    while waiting:
        package = waiting.pop()
        found.add(package)
        more = required.get(package, set()) | {_BACKENDS.get(package, package)}
        waiting |= more - found
    return found


def _distribution(module: str) -> str:
    """The package that a module comes from, "" for Python's own."""
    parts = module.split(".")
    if parts[0] in sys.stdlib_module_names:
        return ""
    for length in range(len(parts), 0, -1):
        if known := _DISTRIBUTIONS.get(".".join(parts[:length])):
            return known
    return _normalise(parts[0])


@cache
def _requirements() -> dict[str, set[str]]:
    """What each package requires."""
    required: dict[str, set[str]] = {}
    for name, (_, parents) in _packages().items():
        for parent in parents:
            required.setdefault(parent, set()).add(name)
    return required


@cache
def _packages() -> dict[str, tuple[str, frozenset[str]]]:
    """Version of each third-party package, and the packages that require it.

    From requirements.lock of the checkout, which the images install too; an installed package has
    no lock, and its environment says.
    """
    lock = _COMPONENTS.parent / "requirements.lock"
    return _locked(lock.read_text()) if lock.is_file() else _installed()


def _locked(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    packages = {}
    for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE):
        if pinned := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", block):
            via = re.search(r"^ +# via (.+)$", block, flags=re.MULTILINE)
            parents = via[1].split(", ") if via else []
            packages[_normalise(pinned[1])] = (pinned[2], frozenset(map(_normalise, parents)))
    return packages


def _installed() -> dict[str, tuple[str, frozenset[str]]]:
    versions: dict[str, str] = {}
    parents: dict[str, set[str]] = {}
    for found in importlib.metadata.distributions():
        name = _normalise(found.metadata["Name"])
        versions[name] = found.version
        for requirement in found.requires or ():
            if "extra ==" not in requirement:
                required = _normalise(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])
                parents.setdefault(required, set()).add(name)
    return {n: (v, frozenset(parents.get(n, ()))) for n, v in versions.items()}


def _normalise(name: str) -> str:
    """A package's name as indexes write it (PEP 503), without the extras."""
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()


def _digest(closure: Closure) -> str:
    digest = hashlib.sha256()
    paths = {module: _source(module) for module in closure.modules}
    paths |= {str(path.relative_to(_COMPONENTS)): path for path in closure.files}
    for name, path in sorted(paths.items()):
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    for package in sorted(closure.packages):
        version, _ = _packages().get(package, ("", None))
        if not version:
            raise InputError(
                f"package {package} is imported and not in requirements.lock; run `make lock`, or "
                "name its distribution in pipeline/revisions.py"
            )
        digest.update(f"{package}=={version}\n".encode())
    return digest.hexdigest()[:_DIGITS]
