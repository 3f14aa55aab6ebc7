"""A lease: one writer at a time under gs://, where no kernel opens a dead writer's lock.

The lease is an object that only its holder replaces, every few seconds. Whoever waits for it sees
it stand still once the holder is dead, by a clock of its own, and takes it over; the precondition
on its generation lets one do so. It also says what the holder was about to write, so that the next
one knows what to clear away and touches nothing else.
"""

import contextlib
import platform
import threading
import time
import uuid
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, ValidationError

from emotion_ai import storage
from emotion_ai.errors import Unavailable
from emotion_ai.registry.lock_wait import LockWait
from emotion_ai.storage import gcs

LEASE_NAME = ".writer.lease"
# A holder that has not renewed for so long is taken for dead; it renews three times as often.
LEASE_SECONDS = 30.0
_POLL_SECONDS = 0.2


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)

    holder: str
    host: str
    # How long its holder has to be silent to count as dead.
    seconds: float = LEASE_SECONDS
    unfinished: tuple[int, ...] = ()


class Lease:
    """The lease as its holder has it; `inherited` are versions that the dead left unfinished."""

    def __init__(self, uri: str, record: _Record, generation: int) -> None:
        self._uri = uri
        self._record = record
        self._generation = generation
        self._renewed = time.monotonic()
        # The thread that renews and the one that notes both replace the object.
        self._replacing = threading.Lock()
        self.inherited = record.unfinished

    def record_in_progress(self, *unfinished: int) -> None:
        """Say which versions are about to be written or removed, before anything is."""
        self._replace(self._record.model_copy(update={"unfinished": unfinished}))

    def check(self) -> None:
        """Raise `Unavailable` where another writer may have taken the lease over meanwhile."""
        if time.monotonic() - self._renewed > self._record.seconds:
            raise self._lost()

    def renew(self, stop: threading.Event) -> None:
        """Renew the lease until `stop` is set or it is lost."""
        while not stop.wait(self._record.seconds / 3):
            try:
                self._replace(self._record)
            except Unavailable:
                # Until it is too late, the next attempt may succeed.
                with contextlib.suppress(Unavailable):
                    self.check()
                    continue
                return

    def release(self) -> None:
        """Remove the lease, unless something is unfinished that the next holder must know of."""
        with contextlib.suppress(Unavailable):
            self.check()
            if not self._record.unfinished:
                gcs.remove(self._uri, self._generation)

    def _replace(self, record: _Record) -> None:
        with self._replacing:
            started = time.monotonic()
            try:
                self._generation = gcs.put(self._uri, _content(record), self._generation)
            except gcs.AlreadyExists:
                self._renewed = float("-inf")
                raise self._lost() from None
            self._record, self._renewed = record, started

    def _lost(self) -> Unavailable:
        return Unavailable(
            f"{self._uri}: this writer did not answer for {self._record.seconds:g} s and another "
            "one took over; run again"
        )


@contextlib.contextmanager
def leased(registry: str) -> Iterator[Lease]:
    """Hold the registry's lease for the length of the block.

    Raises `Unavailable` where another writer keeps it too long, or the storage fails.
    """
    lease = _acquire(storage.join(registry, LEASE_NAME))
    stop = threading.Event()
    renewing = threading.Thread(target=lease.renew, args=(stop,), daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        stop.set()
        renewing.join()
        lease.release()


def _acquire(uri: str) -> Lease:
    waiting = LockWait(uri)
    mine = _Record(holder=uuid.uuid4().hex, host=platform.node(), seconds=LEASE_SECONDS)
    seen, since = 0, time.monotonic()
    while True:
        found, generation = _look(uri)
        now = time.monotonic()
        if generation != seen:
            seen, since = generation, now
        if not generation or now - since > (found.seconds if found else LEASE_SECONDS):
            record = mine.model_copy(update={"unfinished": found.unfinished if found else ()})
            with contextlib.suppress(gcs.AlreadyExists):
                return Lease(uri, record, gcs.put(uri, _content(record), generation))
        waiting.go_on(f"the writer on {found.host}" if found else "another writer")
        time.sleep(_POLL_SECONDS)


def _look(uri: str) -> tuple[_Record | None, int]:
    try:
        data, generation = gcs.read_generation(uri)
    except storage.NotFound:
        return None, 0
    try:
        return _Record.model_validate_json(data), generation
    except ValidationError:
        return None, generation


def _content(record: _Record) -> bytes:
    return record.model_dump_json().encode()
