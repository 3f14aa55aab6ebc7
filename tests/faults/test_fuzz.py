"""Every reader of untrusted bytes reads damaged ones or raises `InputError`."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.fuzz_targets import check_case, fuzz_targets

TARGETS = fuzz_targets()


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_readers_read_or_reject_damaged_bytes(name: str, data: st.DataObject) -> None:
    check_case(TARGETS[name], data.draw(TARGETS[name].cases))
