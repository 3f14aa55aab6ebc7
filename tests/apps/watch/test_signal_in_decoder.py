"""Where a signal ends watching: never inside a callback of C, which would lose it."""

import os
import signal
import sys

import pytest

from emotion_ai.apps.watch import decoder_errors
from emotion_ai.apps.watch.decoder_errors import DecoderErrors
from emotion_ai.apps.watch.interruption import Interruption


def test_signal_while_a_decoder_reports_an_error_is_raised_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)

    def interrupted(sender: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(decoder_errors, "_class_name", interrupted)
    call_from_c = decoder_errors._Listener(DecoderErrors().add)
    with Interruption() as interruption:
        with interruption.interruptible():
            call_from_c(1, 16, b"", None)
        with pytest.raises(SystemExit) as ended, interruption.interruptible():
            pass
    assert ended.value.code == 128 + signal.SIGTERM
    assert lost == []
