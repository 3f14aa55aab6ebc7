"""Run the commands of a tutorial's page, and show below each what it printed and drew."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# Blocks that are run, in their order, in one folder; others show what is not run here.
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
PORTS = ("8500", "8501")
PICTURES = (".png", ".jpg")
_MAX_LINES, _MAX_WIDTH = 14, 110
# What the commands find in their folder, as in a checkout.
_LINKS = ("components", "k8s", "tests")


# Titles are in the pages; the order is the site's.
PAGES = ("photo", "faces", "video", "serve", "cluster")
# Their commands take minutes, or a cluster.
SLOW_PAGES = frozenset({"faces", "cluster"})


class Result(NamedTuple):
    """What a block printed, and the pictures that it made, by their paths from this folder."""

    printed: str
    pictures: list[str]


def blocks(page: str) -> list[tuple[str, str]]:
    """Return language and text of the blocks of a page that are run."""
    return BLOCK.findall((HERE / f"{page}.md").read_text())


def run_page(page: str, folder: Path, replace: dict[str, str] | None = None) -> list[Result]:
    """Run a page's blocks in a folder, one shell for each, as a reader would.

    Args:
        page: Its name.
        folder: Where they run; made, and emptied of what an earlier run left.
        replace: Words of the commands to replace, for a run that takes less time.

    Raises:
        RuntimeError: A block failed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in _LINKS:
        (folder / name).symlink_to(ROOT / name)
    replace = (replace or {}) | free_ports()
    groups: list[int] = []
    try:
        return [_run(language, text, folder, replace, groups) for language, text in blocks(page)]
    finally:
        for group in groups:
            # A server that a block has started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)


def free_ports() -> dict[str, str]:
    """Return a free port for each that the pages name: this machine may have servers of its own."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in PORTS]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        ports = [str(listener.getsockname()[1]) for listener in sockets]
    return dict(zip(PORTS, ports, strict=True))


def _run(
    language: str, text: str, folder: Path, replace: dict[str, str], groups: list[int]
) -> Result:
    for word, other in replace.items():
        text = text.replace(word, other)
    program = ["bash", "-euo", "pipefail", "-c"] if language == "sh" else [sys.executable, "-c"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    before = set(_pictures(folder))
    process = subprocess.Popen(
        [*program, text],
        cwd=folder,
        env=os.environ | {"PATH": path, "COLUMNS": str(_MAX_WIDTH)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    groups.append(process.pid)
    printed, failure = process.communicate(timeout=600)
    if process.returncode:
        raise RuntimeError(f"{text}\nended with {process.returncode}:\n{printed}{failure}")
    made = sorted(set(_pictures(folder)) - before)
    return Result(printed, [os.path.relpath(path, HERE) for path in made])


def _pictures(folder: Path) -> list[Path]:
    real = [path for path in folder.iterdir() if not path.is_symlink()]
    found = [path for top in real for path in ([top] if top.is_file() else top.rglob("*"))]
    return [path for path in found if path.suffix in PICTURES]


def with_results(text: str, results: list[Result]) -> str:
    """Return a page with each block's results below it."""
    remaining = iter(results)
    return BLOCK.sub(lambda block: block[0] + _shown(next(remaining)), text)


def _shown(result: Result) -> str:
    shown = ""
    lines = [
        line if len(line) <= _MAX_WIDTH else line[: _MAX_WIDTH - 1] + "…"
        for line in result.printed.rstrip().splitlines()
    ]
    if len(lines) > _MAX_LINES:
        lines = [*lines[: _MAX_LINES - 1], "…"]
    if lines:
        shown += "\n::::{container} printed\n```text\n" + "\n".join(lines) + "\n```\n::::\n"
    for picture in result.pictures:
        name = Path(picture).name
        shown += f"\n:::{{figure}} {picture}\n:class: made\n:alt: {name}\n\n`{name}`\n:::\n"
    return shown
