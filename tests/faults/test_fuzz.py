"""Damaged bytes of every kind that comes from outside are read or refused, never more."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.fuzz_targets import is_sound, targets

TARGETS = targets()


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_bytes_are_read_or_refused(name: str, data: st.DataObject) -> None:
    is_sound(TARGETS[name], data.draw(TARGETS[name].cases))
