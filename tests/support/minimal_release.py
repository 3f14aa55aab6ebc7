"""A release of a few bytes, for tests that load no model."""

from collections.abc import Callable
from pathlib import Path

from emotion_ai.registry.digest import file_digest
from emotion_ai.registry.releases import GRAPH_PATH, DataInfo, GateDecision, ReleaseInfo

Publisher = Callable[..., int]


def write_minimal_release(folder: Path, digest: str) -> tuple[dict[str, Path], ReleaseInfo]:
    """Write a release's files, whose content is the digest, and return them with a draft."""
    files = {GRAPH_PATH: folder / "graph", "variables/variables.index": folder / "index"}
    folder.mkdir(parents=True, exist_ok=True)
    for path in files.values():
        path.write_text(f"{path.name} of {digest}")
    draft = ReleaseInfo(
        content_digest=digest,
        files={name: file_digest(path) for name, path in files.items()},
        parent=None,
        data={
            "keypoints": DataInfo(source="sample://20?seed=1", fingerprint="k" * 64, rows=20),
            "expression": DataInfo(source="fer2013.csv", fingerprint="e" * 64, rows=70),
        },
        metrics={"expression/PrivateTest/accuracy": 0.61},
        gate=GateDecision(outcome="accepted", reasons=("this is the first release",)),
        revision="abc123",
        run_id="run-1",
        created="2026-01-02T03:04:05+00:00",
        label_set="course5",
        labels=("happy", "sad"),
        signatures={"serving_default": ["images"]},
        packages={"tensorflow": "2.20.0"},
    )
    return files, draft
