"""A writer that is presumed dead and then wakes up."""

import time
from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.errors import Unavailable
from emotion_ai.registry import lease
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import GRAPH_PATH, INFO_PATH, list_versions, verify_release
from emotion_ai.storage import gcs

from support.minimal_release import write_minimal_release


def test_lease_stops_a_late_writer_and_its_objects_are_no_release(
    cloud_storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = storage.join(cloud_storage, tmp_path.name)
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1.0)
    # A suspended process does not renew its lease.
    monkeypatch.setattr(lease.Lease, "renew", lambda *_: None)
    with lease.hold_lease(registry) as late:
        late.record_in_progress(1)
        gcs.put(storage.join(registry, "1", INFO_PATH), b"{}", 0)
        files, draft = write_minimal_release(tmp_path / "export", "a")
        assert publish(registry, files, draft) == (2, True)
        with pytest.raises(Unavailable, match="another one took over"):
            late.check()
        with pytest.raises(Unavailable, match="another one took over"):
            late.record_in_progress()
        # As if this request had been sent before and was slow.
        gcs.put(storage.join(registry, "1", GRAPH_PATH), b"late", 0)
    assert list_versions(registry) == [2]
    verify_release(registry, 2)
    # A slow machine must not lose the last lease.
    monkeypatch.undo()
    assert publish(registry, files, draft) == (2, False)
    assert lease.LEASE_NAME not in storage.list_names(registry)


def test_a_lease_that_expired_and_was_not_taken_is_removed(
    cloud_storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = storage.join(cloud_storage, tmp_path.name)
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.1)
    monkeypatch.setattr(lease.Lease, "renew", lambda *_: None)
    with lease.hold_lease(registry) as late:
        time.sleep(0.2)
        with pytest.raises(Unavailable, match="another one took over"):
            late.check()
    assert storage.list_names(registry) == []
