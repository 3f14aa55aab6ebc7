"""A rollout that is hit in any phase: nothing unproven serves, and the next one ends well."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.interrupted_rollouts import PHASES, check_recovery, kill, take_api_server_away


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_the_next_rollout_recovers_from_a_kill(
    first_release: int, publish: Callable[..., int], tmp_path: Path, phase: str
) -> None:
    check_recovery(publish, 20.0 + PHASES.index(phase), phase, kill, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_the_next_rollout_recovers_from_an_outage_of_the_api_server(
    first_release: int, publish: Callable[..., int], tmp_path: Path, phase: str
) -> None:
    if "STOP_API" not in os.environ:
        pytest.skip("set STOP_API and START_API to commands that stop and start the API server")
    check_recovery(publish, 30.0 + PHASES.index(phase), phase, take_api_server_away, tmp_path)
