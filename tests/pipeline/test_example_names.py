"""The names of environments/cluster.yaml are examples: no command and no step takes them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from emotion_ai.errors import InputError
from emotion_ai.pipeline.cli.main import app
from emotion_ai.pipeline.parameters import training_parameters
from emotion_ai.pipeline.settings import load_environment, load_run_settings
from emotion_ai.registry.placeholders import example_sentence, refuse_example
from emotion_ai.registry.runs import claim_run
from emotion_ai.steps.resolve.checks import check_settings

from support.kfp_api_server import KfpApiServer

NIGHTLY = ["--schedule", "0 0 3 * * *"]


@pytest.mark.parametrize(
    "name",
    ["example.com", "registry.example.com/a", "registry.example.com:5000/a", "gs://x.Example.com"],
)
def test_names_at_example_com_are_examples(name: str) -> None:
    with pytest.raises(InputError, match=rf"^image is {name}, an example; write yours into"):
        refuse_example("image", name)


@pytest.mark.parametrize(
    "name",
    ["", "emotion-ai", "gs://example-models/a", "anexample.com/a", "example.community/a", "/a"],
)
def test_other_names_are_nobodys_examples(name: str) -> None:
    assert example_sentence("image", name) == ""


def test_what_the_environment_cluster_names_is_an_example() -> None:
    settings = load_run_settings("cluster")
    names = load_environment("cluster").compile.image, settings.registry, settings.checkpoints
    assert all(example_sentence("setting", name) for name in names)


def test_the_first_step_refuses_an_example_before_it_asks_a_storage() -> None:
    settings = load_run_settings("cluster")
    with pytest.raises(InputError, match=r"^registry is gs://models\.example\.com/.*--environment"):
        claim_run(settings.registry, "", "6f1c")
    for name in ("registry", "checkpoints", "keypoints", "expression"):
        values = training_parameters(load_run_settings("local")) | {name: "gs://a.example.com/b"}
        with pytest.raises(InputError, match=f"^{name} is gs://a.example.com/b"):
            check_settings(values["keypoints"], values["expression"], values)


def test_compile_says_what_is_an_example(tmp_path: Path, environment: str) -> None:
    output = ["compile", "-o", str(tmp_path / "emotion-ai.yaml")]
    result = CliRunner().invoke(app, output)
    assert result.exit_code == 0
    told = [line.split()[1] for line in result.stderr.splitlines() if "an example; write" in line]
    assert told == ["compile.image", "run.registry", "run.checkpoints"]
    assert CliRunner().invoke(app, [*output, "--environment", environment]).stderr == ""


def test_publish_sends_nothing_of_an_example(
    kfp: KfpApiServer, tmp_path: Path, environment: str
) -> None:
    publish = ["publish", "--kfp", kfp.address]
    with pytest.raises(InputError, match=r"^compile\.image is registry\.example\.com/"):
        CliRunner().invoke(app, publish, catch_exceptions=False)
    mine = Path(environment)
    mine.write_text(mine.read_text().replace("gs://ours", "gs://models.example.com/ours"))
    with pytest.raises(InputError, match=r"^registry is gs://models\.example\.com/ours"):
        CliRunner().invoke(
            app, [*publish, "--environment", environment, *NIGHTLY], catch_exceptions=False
        )
    assert kfp.requests == []
