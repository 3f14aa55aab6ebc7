"""Copy the reports of steps that may have come from the cache into the run's own folder."""

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.runs import read_json, record_report, write_record


def record_reports(reports: dict[str, str], registry: str, run_id: str) -> None:
    """Copy each report, named by its key: HTML to reports/NAME.html, JSON to the record NAME.

    KFP's paths have no suffix, so the first character tells the two apart. Raises `InputError` for
    a file that is neither.
    """
    for name, path in reports.items():
        with storage.open_binary(path) as file, storage.translate_errors(path):
            start = file.read(1024).lstrip()[:1]
        if start == b"<":
            record_report(registry, run_id, name, path)
        elif start == b"{":
            write_record(registry, run_id, name, read_json(path))
        else:
            raise InputError(f"{path}: report {name} is neither an HTML page nor a JSON object")
