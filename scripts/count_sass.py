r"""Count what the GPU executes: instructions of every loop of every CUDA kernel.

From machine code, so that instructions per multiply-add tell what a change is worth before a card
is at hand. A loop's branches are counted as if all were taken: one with a fast and a slow way shows
both. `--pieces` shows each run of instructions without a branch, which tells them apart.

    nvcc -cubin -arch=sm_90 -O3 -std=c++17 -Ikernels/include -Ikernels/common -Ikernels/cuda \
        -o layer.cubin kernels/cuda/forward_layer.cu
    python scripts/count_sass.py layer.cubin

Needs NVIDIA's nvdisasm (CUDA toolkit), on the PATH or named by ``--nvdisasm``.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

_FUNCTION = re.compile(r"^\.text\.(\S+):")
_LABEL = re.compile(r"^(\.L_\S+):")
_INSTRUCTION = re.compile(
    r"^\s*/\*[0-9a-f]+\*/\s+(?:\{\s*)?(@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)(\S*)(.*);"
)
_TARGET = re.compile(r"`\((\.L_[^)]+)\)")
_KINDS = {
    "multiply-adds": ("FFMA", "DFMA", "HMMA", "HFMA2"),
    "global loads": ("LDG", "LD", "LDGSTS"),
    "shared loads": ("LDS", "LDSM"),
    "stores": ("STG", "STS", "ST"),
    "barriers": ("BAR", "DEPBAR", "LDGDEPBAR", "WARPSYNC", "BSYNC"),
    "branches": ("BRA", "CALL", "BSSY", "EXIT", "RET"),
}


@dataclass
class Kernel:
    """Instructions of one kernel, in the order in which they lie in memory."""

    name: str
    opcodes: list[str] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    jumps: list[tuple[int, str]] = field(default_factory=list)

    def loops(self) -> list[tuple[int, int]]:
        """First and last instruction of each loop: from a label to the last jump back to it."""
        ends: dict[int, int] = {}
        for at, label in self.jumps:
            start = self.labels.get(label, at + 1)
            # A jump to itself stands behind every kernel, as its end.
            if start < at:
                ends[start] = max(at, ends.get(start, 0))
        return sorted(ends.items())

    def pieces(self) -> list[tuple[int, int]]:
        """First and last instruction of each run without a branch into or out of it."""
        cuts = {0, len(self.opcodes), *self.labels.values()}
        cuts |= {i + 1 for i, code in enumerate(self.opcodes) if code in _KINDS["branches"]}
        ordered = sorted(cuts)
        return [(a, b - 1) for a, b in pairwise(ordered) if b > a]


def read_kernels(text: str) -> list[Kernel]:
    """The kernels in what ``nvdisasm -c`` prints."""
    kernels: list[Kernel] = []
    for line in text.splitlines():
        if match := _FUNCTION.match(line):
            kernels.append(Kernel(match[1]))
        elif kernels and (match := _LABEL.match(line)):
            kernels[-1].labels[match[1]] = len(kernels[-1].opcodes)
        elif kernels and (match := _INSTRUCTION.match(line)):
            if match[2] == "BRA" and (target := _TARGET.search(match[4])):
                kernels[-1].jumps.append((len(kernels[-1].opcodes), target[1]))
            kernels[-1].opcodes.append(match[2])
    return kernels


def describe(opcodes: list[str]) -> str:
    """Counts by kind, and how many instructions there are to one multiply-add."""
    while opcodes and opcodes[-1] == "NOP":
        opcodes = opcodes[:-1]
    counts = Counter(opcodes)
    kinds = {kind: sum(counts[code] for code in codes) for kind, codes in _KINDS.items()}
    products = kinds["multiply-adds"]
    share = f"{len(opcodes) / products:6.2f}" if products else "     -"
    rest = ", ".join(f"{n} {kind}" for kind, n in kinds.items() if n)
    return f"{len(opcodes):6d} {share}   {rest}"


def readable(name: str) -> str:
    """A kernel's name without its arguments."""
    demangler = shutil.which("c++filt")
    if demangler is None:
        return name
    result = subprocess.run([demangler, name], capture_output=True, text=True, check=True)
    text = re.sub(r"\(anonymous namespace\)::|napari_msd::", "", result.stdout.strip())
    return text.partition("(")[0].removeprefix("void ")


def main() -> None:
    """Print, for each kernel of each file, all of it and each of its loops."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cubin", nargs="+", type=Path, help="made by nvcc -cubin for one target")
    parser.add_argument("--nvdisasm", default="nvdisasm", help="where NVIDIA's disassembler is")
    parser.add_argument("--only", default="", help="kernels whose name contains this")
    parser.add_argument("--pieces", action="store_true", help="also what lies between branches")
    options = parser.parse_args()
    print("instructions, per multiply-add")
    for path in options.cubin:
        command = [options.nvdisasm, "-c", str(path)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for kernel in read_kernels(text):
            name = readable(kernel.name)
            if options.only not in name:
                continue
            print(f"{describe(kernel.opcodes)}   {name}")
            for first, last in kernel.loops():
                print(f"{describe(kernel.opcodes[first : last + 1])}   loop at {first}")
            for first, last in kernel.pieces() if options.pieces else []:
                print(f"{describe(kernel.opcodes[first : last + 1])}   piece at {first}")


if __name__ == "__main__":
    main()
