"""The command `emotion-ai watch`."""

from pathlib import Path
from typing import Annotated

import typer

from emotion_ai.pipeline.cli.options import (
    OwnRegistry,
    Purpose,
    Release,
    Server,
    Timeout,
    TlsCa,
    TlsCertificate,
    TlsKey,
    TlsName,
    about,
    open_predictor,
    refuse_empty,
)


def watch(
    source: Annotated[
        str, typer.Argument(help="A video file, a camera's number or device, rtsp:// or http://.")
    ],
    server: Server = "",
    registry: OwnRegistry = "",
    faces: Annotated[
        str, typer.Option(help="Face detector and the pixels it scales to; see predict.")
    ] = "yunet:640",
    every: Annotated[
        int | None, typer.Option(min=1, help="Analyse each n-th frame; default: five a second.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after so many seconds.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The timeline: .csv or .parquet.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="The timeline as a picture: .png, .svg or .pdf.")
    ] = None,
    annotate: Annotated[
        Path | None, typer.Option(help="The video with the predictions drawn: .mp4 or .webm.")
    ] = None,
    events: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="<path>",
            help="Episodes of emotions, and gaps without a face: .csv, .parquet, .eaf (ELAN), .vtt "
            "(WebVTT) or .boris; several times for several files.",
        ),
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(help="A row for each face, with its means and its baseline: .csv, .parquet."),
    ] = None,
    baseline: Annotated[
        str,
        typer.Option(
            callback=refuse_empty,
            help="What is usual for a face: its first seconds (5), or a span of the video (10-20). "
            "If given, the timeline has the changes from it, too.",
        ),
    ] = "",
    blur: Annotated[
        bool, typer.Option("--blur", help="Hide the faces in --annotate and --plot.")
    ] = False,
    purpose: Purpose = "",
    release: Release = "",
    timeout: Timeout = 30.0,
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    tls_name: TlsName = "",
) -> None:
    """Track faces through a video, a camera or a stream, and record their emotions over time."""
    from emotion_ai.apps.watch.command import Outputs, watch
    from emotion_ai.apps.watch.people import read_baseline
    from emotion_ai.apps.watch.study import Study

    study = Study(tuple(events or ()), people, read_baseline(baseline or "5"))
    outputs = Outputs(
        output, plot, annotate, study, study.baseline if baseline else None, blur, about(purpose)
    )

    with open_predictor(
        server,
        faces,
        registry=registry,
        release=release,
        timeout=timeout,
        tls_ca=tls_ca,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        tls_name=tls_name,
    ) as predictor:
        watch(source, predictor, outputs, every, duration)
