"""Measures how fast this machine computes the network, compared with the fastest possible time.

Called by ``napari-msd bench`` and ``benchmarks/kernels.py``. Every computation is first
checked against the reference. GFLOP/s count the network's own arithmetic: two flops per
parameter and pixel forward, three times that for a step (forward and both gradients; the loss
is left out). The floor is the larger of two times, both measured in the same run: the arithmetic
at the peak rate of fused multiply-adds, and the minimum memory traffic at the speed of a copy.
"""

from napari_msd.bench.cases import CASES, Case, parse_case
from napari_msd.bench.contenders import CONTENDERS
from napari_msd.bench.report import report

__all__ = ["CASES", "CONTENDERS", "Case", "parse_case", "report"]
