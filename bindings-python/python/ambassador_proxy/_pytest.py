"""The fixture ``ambassador_time`` for pytest, which finds it by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ambassador_proxy.testing import VirtualTime, virtual_time


@pytest.fixture
def ambassador_time() -> Iterator[VirtualTime]:
    """Time is virtual for the ambassador during the test, and real again afterwards."""
    with virtual_time() as time:
        yield time
