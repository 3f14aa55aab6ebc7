"""The records of a run: `<registry>/runs/<run id>/NAME.json` and `reports/NAME.html`."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.placeholders import refuse_example

# The folder of all runs in the registry.
RUNS = "runs"
# The record in which notify summarizes all the others.
SUMMARY = "run"
# Holds KFP's id of the run that the folder belongs to. It is hidden: it is no record.
_OWNER = ".owner"
_MAX_OWNER_BYTES = 1 << 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MAX_RECORD_BYTES = 8 << 20
_MAX_REPORT_BYTES = 64 << 20
_MAX_RECORDS = 256


def claim_run(registry: str, run_name: str, job_id: str) -> str:
    """Return the id under which a run keeps its records, the same for each of its steps.

    A name belongs to the first run that has it. Records of another run would be taken for this
    one's, and this one's would replace them, so a later run has KFP's id instead, which is printed.

    Args:
        registry: A local folder or a gs:// URI.
        run_name: The run's name; "" for none.
        job_id: KFP's id of the run; "" outside of KFP, where nobody else has the name.

    Raises:
        InputError: The registry's address is none or an example, or the name cannot name a folder.
        Unavailable: The registry cannot be read or written.
    """
    storage.check_folder_address(registry)
    refuse_example("registry", registry)
    if not run_name or not job_id:
        return run_name or job_id
    folder = run_uri(registry, run_name)
    owner = storage.join(folder, _OWNER)
    if not storage.list_names(folder):
        storage.create(owner, job_id.encode())
    with contextlib.suppress(storage.NotFound):
        if storage.read_bytes(owner, _MAX_OWNER_BYTES) == job_id.encode():
            return run_name
    print(
        f"run_name {run_name!r} has the records of an earlier run, which stay: those of this run "
        f"are in {run_uri(registry, job_id)}"
    )
    return job_id


def run_uri(registry: str, run_id: str) -> str:
    """Return the URI of the run's folder; raise `InputError` if the run id cannot name a folder."""
    return storage.join(registry, RUNS, _check_name("run id", run_id))


def is_run_id(name: str) -> bool:
    """Return whether a text can be the id of a run."""
    return _NAME.fullmatch(name) is not None


def write_record(registry: str, run_id: str, name: str, data: dict[str, Any]) -> None:
    """Write or replace a record.

    Args:
        registry: A local folder or a gs:// URI.
        run_id: The run's id.
        name: The record's name, without `.json`.
        data: The record; NaN and infinity, which JSON lacks, are written as null.

    Raises:
        InputError: The run id or the name cannot name a file.
        Unavailable: The registry cannot be written.
    """
    text = to_json(data, indent=1, inf_nan_mode="null")
    file = f"{_check_name('record', name)}.json"
    uri = storage.join(run_uri(registry, run_id), file)
    storage.write_bytes(uri, text + b"\n", storage.SHARED)


def read_records(registry: str, run_id: str) -> dict[str, dict[str, Any]]:
    """Read all records of a run.

    Args:
        registry: A local folder or a gs:// URI.
        run_id: The run's id.

    Returns:
        The records by name, with `SUMMARY` among them once notify has run; empty for an unknown
        run.

    Raises:
        InputError: The run id is invalid, or a record is no JSON object.
        Unavailable: The storage failed.
    """
    folder = run_uri(registry, run_id)
    files = [name for name in storage.list_names(folder) if name.endswith(".json")]
    if len(files) > _MAX_RECORDS:
        raise InputError(f"{folder}: {len(files)} records; a run has at most {_MAX_RECORDS}")
    return {
        file.removesuffix(".json"): read_json(storage.join(folder, file))
        for file in files
        if not file.startswith(".")
    }


def read_json(uri: str) -> dict[str, Any]:
    """Read a JSON object of at most 8 MiB; raise `InputError` for anything else."""
    try:
        data = json.loads(storage.read_bytes(uri, _MAX_RECORD_BYTES))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{uri}: not JSON: {error}") from None
    if not isinstance(data, dict):
        raise InputError(f"{uri}: expected a JSON object")
    return data


def record_report(registry: str, run_id: str, name: str, local_path: str) -> None:
    """Copy a step's HTML report into the run's folder.

    Args:
        registry: A local folder or a gs:// URI.
        run_id: The run's id.
        name: The report's name, without `.html`.
        local_path: The report.

    Raises:
        InputError: There is no such file, it is too large, or a name is invalid.
        Unavailable: A storage failed.
    """
    data = storage.read_bytes(local_path, _MAX_REPORT_BYTES)
    file = f"{_check_name('report', name)}.html"
    storage.write_bytes(storage.join(run_uri(registry, run_id), "reports", file), data)


def list_reports(registry: str, run_id: str) -> list[str]:
    """List the names of the run's HTML reports, without `.html`."""
    names = storage.list_names(storage.join(run_uri(registry, run_id), "reports"))
    return [Path(name).stem for name in names if name.endswith(".html") and name[0] != "."]


def _check_name(kind: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{kind} {name!r}: expected at most 128 letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit"
        )
    return name
