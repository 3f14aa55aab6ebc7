"""Describing run folders that no complete run has left."""

import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.failures import FAILURE
from emotion_ai.registry.run_description import describe_run
from emotion_ai.registry.runs import SUMMARY, claim_run, run_uri, write_record
from emotion_ai.storage.uri import local_path


def test_a_folder_without_records_is_no_unknown_run(registry: str) -> None:
    claim_run(registry, "claimed", "job-1")
    storage.write_bytes(storage.join(run_uri(registry, "pages"), "reports", "data.html"), b"<p>")
    for run_id, other in (("claimed", "pages"), ("pages", "claimed")):
        with pytest.raises(InputError) as failure:
            describe_run(registry, run_id)
        assert str(failure.value) == (
            f"{registry}/runs/{run_id}: has no records: the run has not read its sources yet, or "
            f"was killed before; expected one of {other}"
        )


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_an_empty_folder_alone_is_described_in_one_sentence(registry: str) -> None:
    local_path(run_uri(registry, "empty")).mkdir(parents=True)
    with pytest.raises(InputError, match=r"runs/empty: has no records: .* a run with records$"):
        describe_run(registry, "empty")
    with pytest.raises(InputError, match=r"no run 'other'; expected one of empty$"):
        describe_run(registry, "other")


def test_what_cannot_name_a_run_is_not_suggested(registry: str) -> None:
    storage.write_bytes(storage.join(registry, "runs", "-notes", "x.json"), b"{}")
    with pytest.raises(InputError, match=r"no run 'other'; expected a registry with runs$"):
        describe_run(registry, "other")


@pytest.mark.parametrize(
    ("name", "record", "missing"),
    [
        (SUMMARY, {"run_id": "odd", "message": "", "reasons": [], "steps": {}}, "outcome"),
        (FAILURE, {"step": "push"}, "message"),
    ],
)
def test_a_record_that_lacks_something_is_damaged(
    registry: str, name: str, record: dict[str, object], missing: str
) -> None:
    write_record(registry, "odd", name, record)
    with pytest.raises(
        InputError, match=rf"runs/odd/{name}\.json: is damaged: it lacks '{missing}'"
    ):
        describe_run(registry, "odd")
