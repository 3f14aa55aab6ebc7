"""A lease that allows one writer at a time at a gs:// URI, where no kernel releases a lock.

The lease is an object that its holder replaces every few seconds. A waiting writer takes it over
once it has not changed for too long by the waiting writer's own clock; the precondition on the
object's generation lets only one of them do so. The lease also records which versions its holder
is about to write or remove, so that the next holder removes those remains and nothing else.
"""

import contextlib
import logging
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
# A holder that has not renewed for this long is presumed dead; it renews three times as often.
LEASE_SECONDS = 30.0
_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.2


class _LeaseRecord(BaseModel):
    # Not strict: later code may add keys to the lease.
    model_config = ConfigDict(frozen=True)

    holder: str
    host: str
    # After this long without a renewal the holder is presumed dead.
    seconds: float = LEASE_SECONDS
    unfinished: tuple[int, ...] = ()


class Lease:
    """A held lease.

    Attributes:
        abandoned_versions: The versions that the previous holder left incomplete.
    """

    def __init__(self, uri: str, record: _LeaseRecord, generation: int) -> None:
        self._uri = uri
        self._record = record
        self._generation = generation
        self._renewed = time.monotonic()
        # The renewing thread and the writing thread both replace the object.
        self._replace_lock = threading.Lock()
        self.abandoned_versions = record.unfinished

    def record_in_progress(self, *unfinished: int) -> None:
        """Record which versions will be written or removed next; none once they are done.

        Raises:
            Unavailable: Another writer took over the lease, or the storage failed.
        """
        self._replace(self._record.model_copy(update={"unfinished": unfinished}))

    def check(self) -> None:
        """Raise `Unavailable` if another writer may have taken over the lease."""
        if time.monotonic() - self._renewed > self._record.seconds:
            raise self._lease_lost()

    def renew(self, stop: threading.Event) -> None:
        """Renew the lease until `stop` is set or it is lost."""
        while not stop.wait(self._record.seconds / 3):
            try:
                self._replace(self._record)
            except Exception as error:
                # The next attempt may succeed, as long as the lease has not expired; a defect, too,
                # must not end the renewal unsaid.
                if not isinstance(error, Unavailable):
                    _log.exception("%s: could not be renewed", self._uri)
                with contextlib.suppress(Unavailable):
                    self.check()
                    continue
                return

    def release(self) -> None:
        """Remove the lease, unless it records an incomplete release for the next holder.

        A lease that has expired is removed, too: its generation tells if another writer took it.
        """
        if not self._record.unfinished:
            with contextlib.suppress(Unavailable):
                gcs.remove(self._uri, self._generation)

    def _replace(self, record: _LeaseRecord) -> None:
        with self._replace_lock:
            started = time.monotonic()
            try:
                self._generation = gcs.put(self._uri, _to_json(record), self._generation)
            except gcs.AlreadyExists:
                self._renewed = float("-inf")
                raise self._lease_lost() from None
            self._record, self._renewed = record, started

    def _lease_lost(self) -> Unavailable:
        return Unavailable(
            f"{self._uri}: this writer did not answer for {self._record.seconds:g} s and another "
            "one took over; run again"
        )


@contextlib.contextmanager
def hold_lease(registry: str) -> Iterator[Lease]:
    """Hold the registry's lease in the block.

    Args:
        registry: The registry's gs:// URI.

    Yields:
        The lease, renewed by a thread until the block ends.

    Raises:
        Unavailable: Another writer holds the lease for too long, or the storage failed.
    """
    lease = _acquire(storage.join(registry, LEASE_NAME))
    stop = threading.Event()
    renewal = threading.Thread(target=lease.renew, args=(stop,), daemon=True)
    renewal.start()
    try:
        yield lease
    finally:
        stop.set()
        renewal.join()
        lease.release()


def _acquire(uri: str) -> Lease:
    wait = LockWait(uri)
    new = _LeaseRecord(holder=uuid.uuid4().hex, host=platform.node(), seconds=LEASE_SECONDS)
    last_generation, unchanged_since = 0, time.monotonic()
    while True:
        current, generation = _read_lease(uri)
        now = time.monotonic()
        if generation != last_generation:
            last_generation, unchanged_since = generation, now
        max_age = current.seconds if current else LEASE_SECONDS
        if not generation or now - unchanged_since > max_age:
            record = new.model_copy(update={"unfinished": current.unfinished if current else ()})
            with contextlib.suppress(gcs.AlreadyExists):
                return Lease(uri, record, gcs.put(uri, _to_json(record), generation))
        wait.check(f"the writer on {current.host}" if current else "another writer")
        time.sleep(_POLL_SECONDS)


def _read_lease(uri: str) -> tuple[_LeaseRecord | None, int]:
    try:
        data, generation = gcs.read_generation(uri)
    except storage.NotFound:
        return None, 0
    try:
        return _LeaseRecord.model_validate_json(data), generation
    except ValidationError:
        return None, generation


def _to_json(record: _LeaseRecord) -> bytes:
    return record.model_dump_json().encode()
