"""Every fault that there is a scenario for."""

from __future__ import annotations

from faults import trainer_faults
from faults.scenario import Scenario

SCENARIOS = [
    Scenario("trainer-killed", "trainer killed while painting", trainer_faults.killed, 20),
    Scenario(
        "trainer-killed-starting",
        "trainer killed while it starts",
        trainer_faults.killed_while_starting,
        10,
    ),
    Scenario("trainer-stopped", "trainer hangs (SIGSTOP)", trainer_faults.stopped, 5),
    Scenario("trainer-starved", "trainer gets a twentieth of a core", trainer_faults.starved, 3),
    Scenario("trainer-memory", "trainer out of memory", trainer_faults.out_of_memory, 5),
    Scenario(
        "clock-jumps",
        "clock set back and forth by hours (viewer's side)",
        trainer_faults.clock_jumps,
        5,
    ),
    Scenario("handles", "30 deaths of trainers, 10 closings", trainer_faults.handles, 1),
]
