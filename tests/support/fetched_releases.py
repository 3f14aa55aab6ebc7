"""What a folder holds into which a release was fetched."""

from pathlib import Path

from emotion_ai import storage
from emotion_ai.registry.champion import CONFIG_NAME, read_champion
from emotion_ai.registry.releases import (
    GRAPH_PATH,
    INFO_PATH,
)

INDEX = "variables/variables.index"


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, with its content."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def assert_holds(into: Path, registry: str, version: int) -> None:
    """Assert that the folder holds this release, byte for byte, and nothing else."""
    names = [GRAPH_PATH, INFO_PATH, INDEX]
    held = files_in(into)
    config = held.pop(CONFIG_NAME)
    assert held == {
        f"emotion_ai/{version}/{name}": storage.read_bytes(
            storage.join(registry, str(version), name), 1 << 20
        )
        for name in names
    }
    assert f'base_path: "{into}/emotion_ai"'.encode() in config
    assert read_champion(str(into)) == version


def assert_empty(into: Path) -> None:
    assert files_in(into) == {}
    assert list((into / "emotion_ai").iterdir()) == []
