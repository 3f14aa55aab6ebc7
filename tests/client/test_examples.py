"""The examples in the docstrings of the public API run."""

import ast
import asyncio
import builtins
import inspect
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import emotion_ai
from emotion_ai import Analyzer, AsyncClient, Client, Tracker
from emotion_ai.client.drawing import annotate
from emotion_ai.client.images import read_image
from emotion_ai.serving_api.messages import PredictRequest
from emotion_ai.serving_api.tensors import fill_tensor

from support.certificates import make_certificates
from support.fake_prediction_server import fake_prediction_server
from support.photographs import portrait

ADDRESS = "127.0.0.1:8500"


def examples_of(docstring: str | None) -> Iterator[str]:
    """The indented blocks that follow a line `Example:` or `Examples:`."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    for start, line in enumerate(lines):
        if line not in ("Example:", "Examples:"):
            continue
        block = []
        for following in lines[start + 1 :]:
            if following and not following.startswith("    "):
                break
            block.append(following)
        yield textwrap.dedent("\n".join(block))


def documented() -> Iterator[tuple[str, Any]]:
    """The package, its public names, and the public methods of its classes."""
    yield "emotion_ai", emotion_ai
    for name in emotion_ai.__all__:
        yield name, getattr(emotion_ai, name)
    for owner in (Analyzer, Client, AsyncClient, Tracker):
        for name, method in inspect.getmembers(owner, inspect.isfunction):
            if not name.startswith("_"):
                yield f"{owner.__name__}.{name}", method


EXAMPLES = [
    pytest.param(code, id=f"{name}-{number}")
    for name, item in documented()
    for number, code in enumerate(examples_of(item.__doc__))
]


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with the files that examples name; `missing.jpg` is not among them."""
    monkeypatch.chdir(tmp_path)
    for name in ("party.jpg", "other.jpg"):
        Image.fromarray(portrait()).save(name)
    Image.fromarray(portrait()[100:300, 150:350]).save("face.png")
    Path("ca.pem").write_text(make_certificates().authority)


def run_example(code: str, address: str) -> None:
    """Run a block, which may use `await`, against a server at this address."""
    names = {name: getattr(emotion_ai, name) for name in emotion_ai.__all__}
    names |= {"np": np, "Path": Path, "Image": Image, "annotate": annotate}
    names |= {"read_image": read_image, "PredictRequest": PredictRequest}
    names |= {"fill_tensor": fill_tensor, "asyncio": asyncio}
    # Top-level `await`: https://docs.python.org/3/library/ast.html#ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compiled = compile(code.replace(ADDRESS, address), "<example>", "exec", flags=flags)
    names["__builtins__"] = builtins
    result = types.FunctionType(compiled, names)()
    if inspect.iscoroutine(result):
        asyncio.run(result)


@pytest.mark.parametrize("code", EXAMPLES)
@pytest.mark.usefixtures("pictures")
def test_example_runs(code: str) -> None:
    with fake_prediction_server() as server:
        run_example(code, server.address)


def test_every_public_name_has_an_example() -> None:
    subclasses = {"InputError", "Unavailable", "VerificationError"}
    without = {name for name, item in documented() if not list(examples_of(item.__doc__))}
    assert without == subclasses


def test_every_client_method_documents_arguments_and_errors() -> None:
    for name, method in documented():
        if not inspect.isfunction(method):
            continue
        parameters = [p for p in inspect.signature(method).parameters if p != "self"]
        doc = inspect.getdoc(method) or ""
        for parameter in parameters:
            assert f"    {parameter}: " in doc, (name, parameter)
        if "timeout" in parameters:
            assert "Raises:" in doc, name
