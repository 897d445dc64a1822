"""Faults of the harness once, in short: nothing is lost, nothing goes wrong.

``make faults`` makes them as often as docs/reliability.md says, and the few that take a minute.
"""

import pytest
from faults.catalogue import SCENARIOS
from faults.scenario import perform

IN_TESTS = [scenario for scenario in SCENARIOS if scenario.in_tests]


@pytest.mark.parametrize("scenario", IN_TESTS, ids=lambda scenario: scenario.name)
def test_nothing_is_lost(scenario):
    row = perform(scenario, 1, short=True)
    if row.unavailable:
        pytest.skip(row.unavailable)
    assert row.problems == []
    assert row.losses == []
