"""Who has seen a source of faces: for `emotion-ai describe --source`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.lineage import SourceName, trace_source
from emotion_ai.registry.releases import check_exists
from emotion_ai.sources.uri import fingerprint

# `emotion-ai describe` prints so many digits of a fingerprint.
_MIN_DIGITS, _ALL_DIGITS = 12, 64
# Text that is no name of a file but a fingerprint, or meant as one.
_FINGERPRINT = re.compile(r"[0-9a-f]{6,}", re.IGNORECASE)


def describe_source(registry: str, text: str) -> dict[str, Any]:
    """Find the releases and runs that have seen a source.

    Args:
        registry: A local folder or a gs:// URI.
        text: A fingerprint, or its first digits, 12 at least; or the source's path or URI. A file
            that is gone is still found by its name.

    Returns:
        Data for JSON: `registry`, `source`, `fingerprint` ("" if it is not known), and what
        `trace_source` finds.

    Raises:
        InputError: The source is there and is none, or a fingerprint is too short or too long.
        Unavailable: A storage failed.
    """
    wanted = _source_name(text)
    check_exists(registry)
    head = {"registry": registry, "source": wanted.source, "fingerprint": wanted.fingerprint}
    return head | trace_source(registry, wanted)


def source_lines(description: dict[str, Any]) -> Iterator[str]:
    """Yield what `describe_source` found, as lines of text."""
    yield f"Registry     {description['registry']}"
    if description["source"]:
        yield f"Source       {description['source']}"
    gone = "not known: there is no such source now, so its name alone is looked for"
    yield f"Fingerprint  {description['fingerprint'] or gone}"
    for way in description["releases"]:
        star = " *" if way["is_champion"] else ""
        how = f"knows it through {way['through']}" if way["through"] else "was trained on it"
        other = ""
        if way["same"] == "name":
            other = f", with other content ({way['fingerprint'][:12] or 'not known'})"
        faces = f"{way['rows']:,} faces of {way['source']}"
        yield f"Release {way['version']}{star}  {how}{other}: {faces}"
    for each in description["unknown"]:
        yield f"Release {each['version']}  not known: {each['why']}"
    for run_id in description["runs"]:
        yield f"Run {run_id}  read it; its pages may show faces of it"
    for each in description["unknown_runs"]:
        yield f"Run {each['run_id']}  not known: {each['why']}"
    if not description["releases"] and not description["runs"]:
        yield "no release and no run of this registry is known to have seen it"
    if any(way["is_champion"] for way in description["releases"]):
        yield "* the champion: what servers answer with"


def _check_fingerprint(digits: str) -> str:
    if not _MIN_DIGITS <= len(digits) <= _ALL_DIGITS:
        raise InputError(
            f"fingerprint {digits}: has {len(digits)} digits; expected the first {_MIN_DIGITS} at "
            f"least, of {_ALL_DIGITS} (there is no file of this name)"
        )
    return digits


def _source_name(text: str) -> SourceName:
    is_address = "://" in text
    if _FINGERPRINT.fullmatch(text) and not Path(text).exists():
        return SourceName(_check_fingerprint(text.lower()), "")
    source = text if is_address else str(Path(text).absolute())
    try:
        return SourceName(fingerprint(source), source)
    except storage.NotFound:
        return SourceName("", source)
