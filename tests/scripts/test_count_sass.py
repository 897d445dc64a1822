"""Counting instructions in machine code.

`recorded_sass.txt` is what nvdisasm 13.5 printed of a kernel with a loop for sm_90, shortened: each
turn reads four numbers on a fast way or eight on a slow one, then an inner loop of four turns
multiplies.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from count_sass import Kernel, Way, print_table, read_kernels


@pytest.fixture
def kernel() -> Kernel:
    text = Path(__file__).with_name("recorded_sass.txt").read_text(encoding="utf-8")
    (kernel,) = read_kernels(text)
    return kernel


def test_loops_are_found_by_their_jumps_back(kernel):
    loops = [last - first + 1 for first, last in kernel.loops()]
    assert loops == [69, 23]  # a jump to itself behind the end is none


def test_the_innermost_loop_is_the_main_one_unless_said_otherwise(kernel):
    assert kernel.main_way() == Way(23, multiply_adds=8, global_loads=2, shared_loads=0)


def test_the_way_goes_past_the_densest_loads_and_around_an_inner_loop(kernel):
    # 10 with the fast way's loads, 10, four turns of 23, 4; what the slow way adds is left out.
    way = kernel.main_way(turns=4)
    assert way == Way(10 + 10 + 4 * 23 + 4, multiply_adds=32, global_loads=12, shared_loads=0)
    assert way.per_multiply_add == pytest.approx(116 / 32)


def test_a_branch_that_is_always_taken_has_nothing_behind_it(kernel):
    assert [kernel.opcodes[at] for at in sorted(kernel.always)] == ["EXIT", "BRA"]


def test_a_kernel_without_a_loop_has_no_main_way():
    assert read_kernels(".text.copy:\n  /*0000*/  FFMA R3, R3, R2, R1 ;\n")[0].main_way() is None


def test_the_table_is_markdown_and_json(kernel, tmp_path, capsys):
    print_table([kernel], "90", tmp_path / "counts.json")
    assert capsys.readouterr().out.splitlines()[-1].endswith("| 23 | 8 | 2.88 |")
    (row,) = json.loads((tmp_path / "counts.json").read_text(encoding="utf-8"))
    assert (row["arch"], row["instructions"], row["multiply_adds"]) == ("90", 23, 8)
