"""How fast this machine computes the network, beside what it could do at most.

Called by ``napari-msd bench`` and ``benchmarks/kernels.py``. Every piece of work is first
checked against the reference. GFLOP/s count the network's own arithmetic: two flops per
parameter and pixel forward, three times that for a step (forward and both gradients; the loss
is left out). The floor is the larger of two times, both measured in the same run: that
arithmetic at the peak of fused multiply-adds, and the least traffic at the speed of a copy.
"""

from napari_msd.bench.cases import CASES, Case, parse_case
from napari_msd.bench.contenders import CONTENDERS
from napari_msd.bench.report import report

__all__ = ["CASES", "CONTENDERS", "Case", "parse_case", "report"]
