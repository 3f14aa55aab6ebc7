"""The commands `emotion-ai predict` and `emotion-ai console`."""

from pathlib import Path
from typing import Annotated

import typer

from emotion_ai.errors import InputError
from emotion_ai.pipeline.cli.arguments import named_path
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


def predict(
    pictures: Annotated[
        list[Path],
        typer.Argument(
            parser=named_path, metavar="PICTURES...", help="Photographs, or folders of them."
        ),
    ],
    server: Server = "",
    registry: OwnRegistry = "",
    faces: Annotated[
        str,
        typer.Option(
            help="Face detector: yunet or dlib, or NAME:PIXELS with the longer side to scale to "
            "(for example yunet:960); whole: each picture is one face."
        ),
    ] = "yunet",
    format: Annotated[
        str, typer.Option(help="jsonl, csv, parquet or table; default: by the name of --output.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write; an interrupted command resumes."),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(
            parser=named_path,
            metavar="<path>",
            help="Folder for the pictures with the predictions drawn.",
        ),
    ] = None,
    blur: Annotated[bool, typer.Option("--blur", help="Hide the faces in those pictures.")] = False,
    purpose: Purpose = "",
    release: Release = "",
    timeout: Timeout = 30.0,
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    tls_name: TlsName = "",
) -> None:
    """Predict the emotion and the keypoints of every face in photographs."""
    from emotion_ai.apps.predict.command import Copies, predict_paths

    if blur and annotate is None:
        raise InputError("--blur: is for --annotate; name a folder with it")
    copies = Copies(annotate, blur) if annotate else None

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
        predict_paths(pictures, predictor, format, output, copies, about(purpose))


def console(
    server: Annotated[
        str,
        typer.Option(
            callback=refuse_empty,
            help="HOST:PORT of a model server; default: the pretrained networks.",
        ),
    ] = "",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free one.")
    ] = 8600,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    faces: Annotated[str, typer.Option(help="Face detector: yunet or dlib.")] = "yunet",
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    purpose: Purpose = "",
) -> None:
    """Open a page that shows predictions for dropped photos and for the camera."""
    from emotion_ai.apps.console.command import open_browser, run_console

    open_page = open_browser if browser else lambda url: None
    run_console(server, host, port, faces, open_page, about(purpose))
