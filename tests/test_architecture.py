"""The architecture: which room may import which. `ARROWS` is its documentation.

A room is a folder below components/ (each step and each app is a room of its own), a module there,
or pipeline/. Imports are read from the source, those inside functions too; imports for type
checkers alone do not count.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# May be imported from everywhere: errors, strict settings, cores, files by URI and what cleans the
# output know nothing of faces.
FOUNDATION = {"errors", "processors", "settings", "storage", "terminal"}

# From each room to the rooms that it may import, besides FOUNDATION; each arrow is in use.
ARROWS: dict[str, set[str]] = {
    # The public face looks the client up by name when it is asked for.
    "emotion_ai": set(),
    "errors": set(),
    "processors": set(),
    "settings": set(),
    "storage": set(),
    "terminal": set(),
    "html_page": set(),
    "markdown_text": set(),
    "faces": set(),
    "sample": {"faces"},
    # A source may be drawn: sample://N.
    "sources": {"faces", "sample"},
    # Messages and tensors know no faces; golden answers have the shape of the model's outputs.
    "serving_api": {"faces"},
    # A training writes its learning curves as a page.
    "networks": {"faces", "html_page"},
    # The champion is named in TensorFlow Serving's configuration; a release names kinds of faces.
    "registry": {"faces", "serving_api"},
    # model.tflite, run without TensorFlow.
    "litert": set(),
    "export": {"faces", "litert", "networks", "registry", "serving_api"},
    # It asks a server, or a release in this process.
    "client": {"faces", "litert", "registry", "serving_api"},
    # A rollout asks the server, as its callers do.
    "rollouts": {"client", "registry", "serving_api"},
    # The embedded server knows releases, and exports the pretrained networks to serve them.
    "server": {"export", "faces", "litert", "networks", "registry", "serving_api"},
    "apps.predict": {"client"},
    "apps.watch": {"client", "faces"},
    "apps.audit": {"html_page"},
    # The console draws an example photo, and guards its port as the server does.
    "apps.console": {"client", "faces", "sample", "server"},
    # It checks the settings of all steps.
    "steps.resolve": {"faces", "networks", "registry", "rollouts", "sources"},
    "steps.ingest": {"faces", "html_page", "sources"},
    "steps.prepare": {"faces", "html_page"},
    "steps.train_keypoints": {"networks"},
    "steps.train_expression": {"faces", "networks"},
    # The champion is a release, asked in this process. Both models are asked about drawn faces.
    "steps.evaluate": {
        "export",
        "faces",
        "html_page",
        "markdown_text",
        "networks",
        "registry",
        "sample",
    },
    "steps.record": {"registry"},
    # Golden faces are drawn.
    "steps.combine": {"export", "faces", "networks", "sample", "serving_api"},
    # The validation starts the server and asks it as callers do.
    "steps.validate": {"client", "html_page", "registry", "server", "serving_api"},
    # Retention keeps what a cluster names.
    "steps.push": {"faces", "markdown_text", "registry", "rollouts"},
    "steps.reject": {"registry"},
    "steps.rollout": {"registry", "rollouts"},
    # The pods of a run say which step failed.
    "steps.notify": {"html_page", "registry", "rollouts"},
}
# Pipeline and command line stand above everything.
ARROWS["pipeline"] = set(ARROWS) - FOUNDATION

# Third-party packages that only some rooms import.
ONLY_IN = {
    # The networks use one operation of it where Keras has no name for it.
    "tensorflow": {"export", "networks", "server"},
    "keras": {"networks", "export", "steps.combine"},
    "kfp": {"pipeline", *(room for room in ARROWS if room.startswith("steps."))},
    "grpc": {"client", "server"},
    "ai_edge_litert": {"litert"},
    # The pipeline compares amounts of memory as Kubernetes writes them.
    "kubernetes": {"pipeline", "rollouts"},
    "google": {"pipeline", "storage", "registry", "serving_api", "server"},
    "pandas": {"sources", "steps.ingest"},
    "sklearn": {"networks", "steps.evaluate"},
    "typer": {"pipeline"},
    "starlette": {"apps.console"},
}


def sources() -> dict[str, Path]:
    """Every module of the package by name."""
    modules = {}
    for folder, package in (("components", "emotion_ai"), ("pipeline", "emotion_ai.pipeline")):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            modules[".".join([package, *parts])] = path
    return modules


MODULES = sources()


def imported(tree: ast.AST) -> Iterator[str]:
    """Names of the modules, or of what is in them, that code imports."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        return
    if isinstance(tree, ast.Import):
        yield from (alias.name for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom):
        assert tree.module, "imports are absolute"
        assert not tree.level, "imports are absolute"
        yield from (f"{tree.module}.{alias.name}" for alias in tree.names)
    for child in ast.iter_child_nodes(tree):
        yield from imported(child)


IMPORTS = {module: set(imported(ast.parse(path.read_text()))) for module, path in MODULES.items()}


def module_of(name: str) -> str:
    """The module of this package that an imported name is, or is in."""
    return name if name in MODULES else name.rpartition(".")[0]


def room_of(module: str) -> str:
    parts = module.split(".")[1:]
    if not parts:
        return "emotion_ai"
    return ".".join(parts[:2]) if parts[0] in ("steps", "apps") else parts[0]


def rooms_imported_by(room: str) -> dict[str, list[str]]:
    """The rooms that a room imports, each with the modules that do."""
    found: dict[str, list[str]] = {}
    for module, names in IMPORTS.items():
        if room_of(module) != room:
            continue
        for name in names:
            if name.partition(".")[0] == "emotion_ai" and room_of(module_of(name)) != room:
                found.setdefault(room_of(module_of(name)), []).append(module)
    return found


def test_the_table_names_every_room() -> None:
    rooms = {room_of(module) for module in MODULES} - {"steps", "apps"}
    assert rooms == set(ARROWS)


@pytest.mark.parametrize("room", ARROWS)
def test_a_room_imports_what_the_table_allows_and_nothing_else(room: str) -> None:
    found = rooms_imported_by(room)
    unknown = {other: found[other] for other in found.keys() - ARROWS[room] - FOUNDATION}
    assert unknown == {}, f"{room} imports what it may not"
    if room != "pipeline":
        assert ARROWS[room] - found.keys() == set(), f"{room} does not use these arrows"


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """What is left when everything without arrows has been taken away, again and again."""
    left = {start: ends & arrows.keys() - {start} for start, ends in arrows.items()}
    while leaves := [start for start, ends in left.items() if not ends]:
        left = {start: ends - {*leaves} for start, ends in left.items() if start not in leaves}
    return sorted(left)


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["a", "b", "c"]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": {"c"}}) == []


def test_no_rooms_and_no_modules_import_each_other() -> None:
    assert circles({room: ARROWS[room] for room in ARROWS}) == []
    modules = {
        module: {module_of(name) for name in names if name.startswith("emotion_ai.")}
        for module, names in IMPORTS.items()
    }
    assert circles(modules) == []


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_heavy_package_is_imported_in_its_rooms_alone(package: str) -> None:
    rooms = {
        room_of(module)
        for module, names in IMPORTS.items()
        if any(name.partition(".")[0] == package for name in names)
    }
    assert rooms == ONLY_IN[package] if package != "kfp" else rooms <= ONLY_IN[package]


def test_kfp_is_imported_by_signatures_and_the_pipeline_alone() -> None:
    importers = {
        module
        for module, names in IMPORTS.items()
        if any(name.partition(".")[0] == "kfp" for name in names)
    }
    steps = {module for module in importers if room_of(module) != "pipeline"}
    assert {module.rpartition(".")[2] for module in steps} == {"component"}
