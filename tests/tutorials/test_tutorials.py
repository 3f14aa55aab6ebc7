"""The tutorials' commands run: the quick ones when the site is built, the others here."""

import re
from pathlib import Path

import pytest
from tutorial_pages import PAGES, ROOT, blocks, run_page

# What the run of a few minutes does, in as little time as it takes to import TensorFlow.
SHORTER = {
    "--faces 2000": "--faces 420",
    "--preset sample": "--preset tests/pipeline/tiny.yaml --force-accept 'run for the test'",
}


def test_every_page_has_commands_that_are_run() -> None:
    run = {page: len(blocks(page)) for page in PAGES}
    assert run.pop("cluster") == 0, "its commands need a cluster"
    assert min(run.values()) >= 3


@pytest.mark.slow
def test_a_folder_of_faces_becomes_a_release(tmp_path: Path) -> None:
    words = "".join(text for _, text in blocks("faces"))
    assert all(word in words for word in SHORTER)
    results = run_page("faces", tmp_path / "faces", SHORTER)
    printed = "".join(result.printed for result in results)
    assert "surprise" in printed
    assert re.search(r"^accepted.*: release 1$", printed, re.MULTILINE)
    assert (tmp_path / "faces/registry/models.config").is_file()


def test_commands_of_the_cluster_are_those_of_the_guides() -> None:
    """The guides' commands are run on a cluster, by tests/cluster."""
    page = Path(__file__).with_name("cluster.md").read_text()
    lines = "".join(re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)).splitlines()
    guides = "".join(
        (ROOT / name).read_text()
        for name in ("README.md", "k8s/README.md", "components/server/README.md")
    )
    assert len(lines) > 8
    assert [
        line
        for line in lines
        if line not in guides and line.replace("rollout 1", "rollout 2") not in guides
    ] == []
