"""Small batches and large ones have pools of threads of their own, where there are cores."""

import os
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.server.flags import parse_flags


@pytest.mark.parametrize(
    ("cores", "arguments", "pools", "large"),
    [
        (1, [], [], -1),
        (4, [], [2, 2], 1),
        (4, ["--tensorflow_inter_op_parallelism=3"], [3, 3], 1),
        (1, ["--tensorflow_session_parallelism=5"], [5, 5], 1),
    ],
)
def test_large_batches_have_threads_of_their_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    arguments: list[str],
    pools: list[int],
    large: int,
) -> None:
    import tensorflow as tf

    from emotion_ai.server.session_threads import run_options, session_config

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    config = session_config(parse_flags([f"--registry={tmp_path}", *arguments], "serve"))
    assert [pool.num_threads for pool in config.session_inter_op_thread_pool] == pools
    assert run_options(config, 1) is None
    assert run_options(config, 8) is None
    options = run_options(config, 9)
    assert options.inter_op_thread_pool == large
    # TensorFlow refuses a pool that a session does not have.
    with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
        double = tf.constant(np.float32(2)) * 2
        assert [session.run(double, options=o) for o in (None, options)] == [4, 4]
