"""Every fault that there is a scenario for."""

from __future__ import annotations

from faults import disk_faults, hostile_files, session_faults, trainer_faults, window_faults
from faults.scenario import Scenario

SCENARIOS = [
    Scenario(
        "napari-killed",
        "napari killed while painting and training",
        session_faults.napari_killed,
        100,
    ),
    Scenario(
        "session-disk-full",
        "disk full while painting, then room again",
        session_faults.session_disk_full,
        10,
    ),
    Scenario(
        "session-disk-read-only",
        "folder for sessions read-only at the first stroke",
        session_faults.session_disk_read_only,
        10,
    ),
    Scenario(
        "session-damaged",
        "part of a session file overwritten (what was there is gone)",
        session_faults.session_damaged,
        100,
    ),
    Scenario("trainer-killed", "trainer killed while painting", trainer_faults.killed, 20),
    Scenario(
        "trainer-killed-starting",
        "trainer killed while it starts",
        trainer_faults.killed_while_starting,
        10,
    ),
    Scenario(
        "viewer-killed", "napari's process killed while Live", trainer_faults.viewer_killed, 10
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
    Scenario(
        "handles",
        "30 deaths of trainers, 10 closings",
        trainer_faults.handles,
        1,
        in_tests=False,
    ),
    Scenario(
        "shm-full", "no room in /dev/shm, 6000 x 6000 pixels", disk_faults.shared_memory_full, 3
    ),
    Scenario("disk-full", "disk full while exporting and saving", disk_faults.disk_full, 3),
    Scenario(
        "disk-read-only", "disk read-only while exporting and saving", disk_faults.disk_read_only, 3
    ),
    Scenario(
        "no-permission", "folder may not be written to", disk_faults.folder_without_permission, 3
    ),
    Scenario("export-killed", "process killed while it exports", disk_faults.export_killed, 40),
    Scenario("ctrl-c", "Ctrl-C in `napari-msd train`", disk_faults.interrupted, 10),
    Scenario("controls", "every control, 6000 x 6000 image", window_faults.every_control, 1),
    Scenario(
        "controls-stack",
        "every control, lazy stack of 20 planes of 6000 x 6000",
        window_faults.every_control_on_a_stack,
        1,
        in_tests=False,
    ),
    Scenario(
        "panel-reopened",
        "panel closed and opened again, Live, 10 times",
        window_faults.panel_reopened,
        1,
        in_tests=False,
    ),
    Scenario("long-run", "7200 strokes without a pause, Live", window_faults.long_run, 1),
    Scenario("model-files", "hostile model file opened", hostile_files.model_files, 1),
    Scenario("label-files", "hostile label file opened", hostile_files.label_files, 1),
]
