"""Every fault of the harness once, in short: nothing is lost, nothing goes wrong.

``make faults`` makes them as often as docs/reliability.md says.
"""

import pytest
from faults.catalogue import SCENARIOS
from faults.scenario import perform


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_nothing_is_lost(scenario):
    row = perform(scenario, 1, short=True)
    if row.unavailable:
        pytest.skip(row.unavailable)
    assert row.problems == []
    assert row.losses == []
