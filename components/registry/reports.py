"""Copy reports into the run's folder; the steps that wrote them may be cached and not know it."""

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.runs import read_json, record_report, write_record


def record_reports(reports: dict[str, str], registry: str, run_id: str) -> None:
    """Copy HTML reports to reports/NAME.html and JSON reports to the run record NAME.

    KFP's paths have no suffix, so the file's first character decides which it is.

    Args:
        reports: Local paths of the reports by name.
        registry: A local folder or a gs:// URI.
        run_id: The run's id.

    Raises:
        InputError: A file is missing, or is neither an HTML page nor a JSON object.
        Unavailable: The registry cannot be written.
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
