"""The command `emotion-ai watch`."""

from pathlib import Path
from typing import Annotated

import typer

from emotion_ai.pipeline.cli.options import (
    SERVER,
    Release,
    Server,
    Timeout,
    TlsCa,
    TlsCertificate,
    TlsKey,
    client_of,
)


def watch(
    source: Annotated[
        str, typer.Argument(help="A video file, a camera's number or device, rtsp:// or http://.")
    ],
    server: Server = SERVER,
    faces: Annotated[
        str, typer.Option(help="Who finds the faces, at how many pixels; see predict.")
    ] = "yunet:640",
    every: Annotated[
        int | None, typer.Option(min=1, help="Look at each n-th frame; else at five a second.")
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
        Path | None, typer.Option(help="The video with what was seen on it: .mp4 or .webm.")
    ] = None,
    release: Release = "",
    timeout: Timeout = 30.0,
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
) -> None:
    """Follow faces through a video, a camera or a stream: who shows which emotion, and when."""
    from emotion_ai.apps.watch.command import Outputs, watch

    with client_of(server, faces, release, tls_ca, tls_certificate, tls_key) as client:
        watch(source, client, Outputs(output, plot, annotate), every, duration, timeout)
