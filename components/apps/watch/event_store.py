"""Keep events and people in a temporary file until the end, so that memory does not grow."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from emotion_ai.apps.watch.episodes import Event
from emotion_ai.apps.watch.people import labels_of
from emotion_ai.errors import Unavailable

_COLUMNS = ", ".join(Event._fields)
_ORDER = "ORDER BY onset_s, offset_s, track"


class EventStore:
    """Events and people in a temporary database, which disappears with the process.

    Args:
        database: SQLite's.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute(f"CREATE TABLE events ({_COLUMNS})")
        database.execute("CREATE INDEX events_of ON events (track, onset_s)")
        database.execute("CREATE TABLE people (track PRIMARY KEY, row)")
        database.execute("CREATE TABLE baselines (track, name, value, PRIMARY KEY (track, name))")

    def add(self, event: Event) -> None:
        """Keep an event."""
        marks = ", ".join("?" * len(event))
        self._database.execute(f"INSERT INTO events VALUES ({marks})", event)  # noqa: S608

    def events(self) -> Iterator[Event]:
        """Yield all events, in order of their beginning."""
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM events {_ORDER}")  # noqa: S608
        return (Event(*row) for row in rows)

    def events_of(self, track: int | None) -> Iterator[Event]:
        """Yield the events of a face, or the gaps, in order of their beginning."""
        query = f"SELECT {_COLUMNS} FROM events WHERE track IS ? {_ORDER}"  # noqa: S608
        return (Event(*row) for row in self._database.execute(query, (track,)))

    def edges(self) -> Iterator[tuple[float, int | None, str | None]]:
        """Yield the time, track and emotion of each beginning and end, in order of time."""
        query = (
            "SELECT onset_s AS time_s, track, emotion, 1 AS begins FROM events UNION ALL "
            "SELECT offset_s, track, emotion, 0 FROM events ORDER BY time_s, begins, track"
        )
        return (row[:3] for row in self._database.execute(query))

    def tracks(self) -> list[int | None]:
        """Return the numbers of the faces with events; None first where there are gaps."""
        query = "SELECT DISTINCT track FROM events ORDER BY track"
        return [track for (track,) in self._database.execute(query)]

    def emotions(self) -> list[str]:
        """Return the emotions of the episodes, in alphabetical order."""
        query = "SELECT DISTINCT emotion FROM events WHERE emotion IS NOT NULL ORDER BY emotion"
        return [emotion for (emotion,) in self._database.execute(query)]

    def add_person(self, row: dict[str, Any]) -> None:
        """Keep a face's row."""
        values = (row["track"], json.dumps(row))
        self._database.execute("INSERT OR REPLACE INTO people VALUES (?, ?)", values)

    def people(self) -> Iterator[dict[str, Any]]:
        """Yield the faces' rows, in order of their numbers, with how many episodes they had."""
        for track, text in self._database.execute("SELECT track, row FROM people ORDER BY track"):
            row = json.loads(text)
            yield row | self._count_episodes(track, labels_of(row))

    def _count_episodes(self, track: int, emotions: list[str]) -> dict[str, float]:
        query = (
            "SELECT emotion, count(*), sum(offset_s - onset_s) FROM events WHERE track IS ? "
            "GROUP BY emotion"
        )
        found = {emotion: rest for emotion, *rest in self._database.execute(query, (track,))}
        counts = {f"episodes_{name}": found.get(name, (0, 0.0))[0] for name in emotions}
        lengths = {f"seconds_{name}": round(found.get(name, (0, 0.0))[1], 3) for name in emotions}
        return counts | lengths

    def add_baseline(self, track: int, values: dict[str, float]) -> None:
        """Keep a face's baseline by name."""
        rows = [(track, name, value) for name, value in values.items()]
        self._database.executemany("INSERT OR REPLACE INTO baselines VALUES (?, ?, ?)", rows)

    def baseline(self, track: int | None, name: str) -> float | None:
        """Return a value of a face's baseline; None where it has none."""
        query = "SELECT value FROM baselines WHERE track IS ? AND name = ?"
        row = self._database.execute(query, (track, name)).fetchone()
        return row and float(row[0])


@contextlib.contextmanager
def open_event_store() -> Iterator[EventStore]:
    """Open a store for the length of the block; raise `Unavailable` where its disk is full."""
    # Without a name: a temporary file, of which a part is in memory.
    try:
        with contextlib.closing(sqlite3.connect("")) as database:
            yield EventStore(database)
    except sqlite3.OperationalError as error:
        raise Unavailable(f"the temporary file of events: {error}; set TMPDIR") from None
