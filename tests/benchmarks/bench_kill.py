"""Kill registry writers at random moments and count the losses.

    make bench NAME=kill ARGS="[KILLS] [--seed 1]"

Each of the KILLS writers (200 by default) pushes a release or rolls one out, in a folder or in
Cloud Storage (fake-gcs-server), and gets SIGKILL at a moment drawn from the time that an
undisturbed one takes. A loss is: a release that is listed and incomplete, a release that
disappears, a push or rollout that cannot be finished afterwards, a leftover file, or a request that
neither the old champion nor the new one answers.
"""

import argparse
import os
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

_TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(_TESTS)]

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from emotion_ai import storage  # noqa: E402
from emotion_ai.errors import InputError, VerificationError  # noqa: E402
from emotion_ai.registry.champion import read_champion, write_champion  # noqa: E402
from emotion_ai.registry.releases import (  # noqa: E402
    list_versions,
    read_release,
    verify_release,
)

from support.cloud_storage import running_cloud_storage  # noqa: E402
from support.registry_monitor import monitored  # noqa: E402
from support.registry_writers import RegistryWriters, running_registry_writers  # noqa: E402


class Row(NamedTuple):
    """What became of the writers of one kind."""

    what: str
    writers: int
    killed: int
    looks: int
    losses: list[str]


def main() -> int:
    """Kill, print the table, and return 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "kills", type=int, nargs="?", default=200, help="writers to kill (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the moments (%(default)s)")
    flags = parser.parse_args()
    if flags.kills < 5:
        parser.error("kills: expected at least 5, one of each kind")
    moments = random.Random(flags.seed)
    rollouts = max(1, flags.kills // 20)
    remote = (flags.kills - 2 * rollouts) // 3
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        scratch = Path(name)
        os.environ["STORAGE_EMULATOR_HOST"] = stack.enter_context(running_cloud_storage("faces"))
        os.environ["no_proxy"] = "127.0.0.1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        writers = stack.enter_context(running_registry_writers())
        local = flags.kills - 2 * rollouts - remote
        rows = [
            _pushes(writers, str(scratch / "pushed"), local, moments, scratch / "local"),
            _pushes(writers, "gs://faces/pushed", remote, moments, scratch / "remote"),
            _rollouts(writers, str(scratch / "served"), rollouts, moments, scratch),
            _rollouts(writers, "gs://faces/served", rollouts, moments, scratch),
        ]
    return _print(rows)


def _pushes(
    writers: RegistryWriters, registry: str, kills: int, moments: random.Random, scratch: Path
) -> Row:
    undisturbed = [writers.push(registry, scratch / f"w{i}", f"w{i}")["seconds"] for i in range(5)]
    write_champion(registry, list_versions(registry)[-1])
    champion = read_champion(registry)
    killed, losses, digests = 0, [], [f"w{i}" for i in (2, 3, 4)]
    with monitored(registry) as monitor:
        for number in range(kills):
            delay = moments.uniform(0, max(undisturbed[1:]))
            digest = f"d{number}"
            outcome = writers.push(registry, scratch / digest, digest, kill_after=delay)
            killed += outcome["killed"]
            digests = [*digests, digest][-3:]
            losses += _damaged(registry)
            again = writers.push(registry, scratch / digest, digest)
            losses += [f"{digest}: {again['error']}"] * bool(again["error"])
            losses += _missing(registry, digests) + _debris(registry)
            if read_champion(registry) != champion:
                losses.append(f"{digest}: the champion changed")
    losses += monitor["errors"]
    return Row(f"push, {_kind(registry)}", kills, killed, monitor["verified"], losses)


def _kind(registry: str) -> str:
    return "Cloud Storage" if storage.is_remote(registry) else "folder"


def _damaged(registry: str) -> list[str]:
    damaged = []
    for version in list_versions(registry):
        try:
            verify_release(registry, version)
        except (InputError, VerificationError) as failure:
            damaged.append(str(failure))
    return damaged


def _missing(registry: str, digests: list[str]) -> list[str]:
    released = [read_release(registry, v).content_digest for v in list_versions(registry)]
    return [] if released[-3:] == digests else [f"released {released}, expected {digests}"]


def _debris(registry: str) -> list[str]:
    versions = map(str, list_versions(registry))
    left = {*storage.list_names(registry)} - {*versions, "models.config", ".writer.lock"}
    return [f"{registry}: {name} was left" for name in sorted(left)]


def _rollouts(
    writers: RegistryWriters, registry: str, kills: int, moments: random.Random, scratch: Path
) -> Row:
    from emotion_ai.rollouts.targets import roll_out
    from emotion_ai.server.process import running_server

    from support.steady_caller import SteadyCaller
    from support.tiny_saved_model import publish_tiny_release

    for shift in (1.0, 2.0):
        publish_tiny_release(registry, scratch, shift, shift)
    killed, losses, new = 0, [], 2
    with running_server(registry, scratch / "server.log") as server:
        roll_out(registry, 1, server)
        usual = writers.roll_out(registry, 2, server)["seconds"]
        with SteadyCaller(server) as caller:
            for _ in range(kills):
                new = 3 - new
                delay = moments.uniform(0, usual)
                killed += writers.roll_out(registry, new, server, kill_after=delay)["killed"]
                if read_champion(registry) not in (1, 2):
                    losses.append("no champion")
                error = writers.roll_out(registry, new, server)["error"]
                losses += [error] * bool(error)
                losses += _damaged(registry) + _debris(registry)
    losses += [str(answer) for answer in caller.answers if answer not in (1, 2)]
    return Row(f"rollout, {_kind(registry)}", kills, killed, caller.answers.total(), losses)


def _print(rows: list[Row]) -> int:
    table = Table("what", "writers", "killed", "looks meanwhile", "losses")
    for row in rows:
        table.add_row(row.what, *map(str, (row.writers, row.killed, row.looks, len(row.losses))))
    console = Console()
    console.print(table)
    losses = [loss for row in rows for loss in row.losses]
    for loss in losses[:20]:
        console.print(f"lost: {loss}")
    return 1 if losses else 0


if __name__ == "__main__":
    sys.exit(main())
