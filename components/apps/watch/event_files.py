"""Write events as a table, or for ELAN, BORIS and players of WebVTT."""

import contextlib
import datetime
import html
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO
from xml.sax.saxutils import quoteattr

from emotion_ai.apps.watch.episodes import NO_FACE, Event
from emotion_ai.apps.watch.event_store import EventStore
from emotion_ai.apps.watch.rows import open_rows, rounded
from emotion_ai.client.records import PURPOSE, Row
from emotion_ai.terminal import clean_line

COLUMNS = (
    *("kind", "track", "emotion", "onset_s", "apex_s", "offset_s", "duration_s"),
    *("looks", "peak", "mean", "baseline", "change"),
)


class Media(NamedTuple):
    """The video that the events are of.

    Attributes:
        path: The file; None for a camera or a stream.
        end_s: When the last frame ends.
        fps: Frames per second.
        about: Its purpose by `PURPOSE`, if one is declared.
    """

    path: Path | None
    end_s: float
    fps: float
    about: Mapping[str, str] = {}


def write_events(path: Path, target: Path, store: EventStore, media: Media) -> None:
    """Write events in the format of the file's suffix, one of `WRITERS`.

    Args:
        path: The file to write.
        target: Where it will be; what it says of the video's place is relative to that.
        store: The events.
        media: The video.
    """
    WRITERS[target.suffix.lower()](path, target, store, media)


def _rows(store: EventStore) -> Iterator[Row]:
    for event in store.events():
        row: Row = {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in event._asdict().items()
        }
        row["duration_s"] = round(event.offset_s - event.onset_s, 4)
        baseline = store.baseline(event.track, f"probability_{event.emotion}")
        if baseline is not None and event.peak is not None:
            row |= {"baseline": rounded(baseline), "change": rounded(event.peak - baseline)}
        yield row


def _write_table(path: Path, target: Path, store: EventStore, media: Media) -> None:
    with contextlib.closing(open_rows(path, COLUMNS, media.about)) as rows:
        for row in _rows(store):
            rows.add(row)


def _write_vtt(path: Path, target: Path, store: EventStore, media: Media) -> None:
    """Write cues (https://www.w3.org/TR/webvtt1/)."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("WEBVTT\n")
        for name, text in media.about.items():
            # A note ends at an arrow, as a cue's time has it.
            file.write(f"\nNOTE {name}: {html.escape(clean_line(text), quote=False)}\n")
        for event in store.events():
            text = html.escape(_describe(event), quote=False)
            file.write(f"\n{_stamp(event.onset_s)} --> {_stamp(event.offset_s)}\n{text}\n")


def _stamp(seconds: float) -> str:
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"


def _describe(event: Event) -> str:
    if event.kind == NO_FACE or event.peak is None:
        return NO_FACE
    return f"face {event.track}: {clean_line(event.emotion or '')} {event.peak:.0%}"


def _write_eaf(path: Path, target: Path, store: EventStore, media: Media) -> None:
    """Write a document of ELAN (https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0.pdf).

    Each face is a tier, and so are the gaps. Two time slots belong to each annotation.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        _write_eaf_head(file, target, media)
        file.write("<TIME_ORDER>\n")
        slots = itertools.count(1)
        for track in store.tracks():
            for event in store.events_of(track):
                for time_s in (event.onset_s, event.offset_s):
                    slot, value = next(slots), round(1000 * time_s)
                    file.write(f'<TIME_SLOT TIME_SLOT_ID="ts{slot}" TIME_VALUE="{value}"/>\n')
        file.write("</TIME_ORDER>\n")
        numbers = itertools.count(1)
        for track in store.tracks():
            name = NO_FACE if track is None else f"face {track}"
            file.write(f'<TIER LINGUISTIC_TYPE_REF="default" TIER_ID={quoteattr(name)}>\n')
            for event in store.events_of(track):
                file.write(_eaf_annotation(next(numbers), event))
            file.write("</TIER>\n")
        file.write(
            '<LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default"'
            ' TIME_ALIGNABLE="true"/>\n</ANNOTATION_DOCUMENT>\n'
        )


def _write_eaf_head(file: TextIO, target: Path, media: Media) -> None:
    schema = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
    file.write(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<ANNOTATION_DOCUMENT AUTHOR="emotion-ai" DATE="{_now()}" FORMAT="3.0" VERSION="3.0"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xsi:noNamespaceSchemaLocation="{schema}">\n'
        '<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">\n'
    )
    if media.path:
        kind = "video/mp4" if media.path.suffix.lower() == ".mp4" else "video/*"
        place = quoteattr(_in_xml(_relative(media.path, target)))
        whole = quoteattr(media.path.resolve().as_uri())
        file.write(
            f'<MEDIA_DESCRIPTOR MEDIA_URL={whole} MIME_TYPE="{kind}" RELATIVE_MEDIA_URL={place}/>\n'
        )
    for name, text in media.about.items():
        value = html.escape(_in_xml(text), quote=False)
        file.write(f"<PROPERTY NAME={quoteattr(name)}>{value}</PROPERTY>\n")
    file.write("</HEADER>\n")


def _eaf_annotation(number: int, event: Event) -> str:
    text = html.escape(_in_xml(event.emotion or NO_FACE), quote=False)
    return (
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}"'
        f' TIME_SLOT_REF1="ts{2 * number - 1}" TIME_SLOT_REF2="ts{2 * number}">'
        f"<ANNOTATION_VALUE>{text}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>\n"
    )


def _in_xml(text: str) -> str:
    """Replace what XML has no place for."""
    return re.sub("[\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", clean_line(text))


def _write_boris(path: Path, target: Path, store: EventStore, media: Media) -> None:
    """Write a project of BORIS (https://www.boris.unito.it) with one observation.

    Faces are its subjects, emotions its state events, each with a start and a stop.
    """
    place = _relative(media.path, target) if media.path else ""
    faces = [track for track in store.tracks() if track is not None]
    behaviors = [*store.emotions(), NO_FACE]
    head = {
        "time_format": "hh:mm:ss",
        "project_date": _now()[:19],
        "project_name": target.stem,
        "project_description": "Written by emotion-ai watch.",
        "project_format_version": "7.0",
        "subjects_conf": {
            str(k): {"key": "", "name": f"face {track}", "description": ""}
            for k, track in enumerate(faces)
        },
        "behaviors_conf": {str(k): _boris_behavior(name) for k, name in enumerate(behaviors)},
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    observation = _boris_observation(place, media)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        # The events alone are many.
        file.write(f'{json.dumps(head)[:-1]}, "observations": {{{json.dumps(target.stem)}: ')
        file.write(json.dumps(observation)[:-1] + ', "events": [')
        for number, line in enumerate(_boris_events(store)):
            file.write((",\n" if number else "\n") + json.dumps(line))
        file.write("]}}}\n")


def _boris_behavior(name: str) -> dict[str, str]:
    fields = ("key", "description", "category", "modifiers", "excluded", "coding map")
    return {"type": "State event", "code": clean_line(name)} | dict.fromkeys(fields, "")


def _boris_observation(place: str, media: Media) -> dict[str, Any]:
    by_file = {"length": round(media.end_s, 3), "fps": media.fps}
    by_file |= {"hasVideo": True, "hasAudio": False}
    return {
        "file": {str(k): [place] if place and k == 1 else [] for k in range(1, 9)},
        "type": "MEDIA" if place else "LIVE",
        "date": _now()[:19],
        "description": media.about.get(PURPOSE, ""),
        "time offset": 0.0,
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "close_behaviors_between_videos": False,
        "scan_sampling_time": 0,
        "media_info": {name: {place: value} for name, value in by_file.items() if place}
        | {"offset": {"1": 0.0}},
    }


def _boris_events(store: EventStore) -> Iterator[list[Any]]:
    """Yield each event's start and stop: time, subject, code, modifier, comment."""
    for time_s, track, emotion in store.edges():
        subject = "" if track is None else f"face {track}"
        yield [round(time_s, 3), subject, clean_line(emotion or NO_FACE), "", ""]


def _relative(path: Path, target: Path) -> str:
    return Path(os.path.relpath(path.resolve(), target.resolve().parent)).as_posix()


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


_Writer = Callable[[Path, Path, EventStore, Media], None]
WRITERS: dict[str, _Writer] = {
    ".csv": _write_table,
    ".parquet": _write_table,
    ".eaf": _write_eaf,
    ".vtt": _write_vtt,
    ".boris": _write_boris,
}
