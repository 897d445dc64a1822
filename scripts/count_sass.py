r"""Count what the GPU executes: instructions of every loop of every CUDA kernel.

From machine code, so that instructions per multiply-add tell what a change is worth before a card
is at hand.

    python scripts/count_sass.py --build 90 --table               # of all kernels, for sm_90
    python scripts/count_sass.py --build 80 --table --only sweep --json counts.json
    nvcc -cubin -arch=sm_90 -O3 -std=c++17 -Ikernels/include -Ikernels/common -Ikernels/cuda \
        -o layer.cubin kernels/cuda/forward_layer.cu
    python scripts/count_sass.py layer.cubin                      # of one file, loop by loop

A loop's branches are counted as if all were taken: one with a fast and a slow way shows both.
`--pieces` shows each run of instructions without a branch, which tells them apart. The table shows
one way through each kernel's main loop, that of most threads: of all ways past its multiply-adds
and its densest loads the shortest (`Kernel.main_way`).

Needs NVIDIA's nvdisasm, and nvcc to build (CUDA toolkit), on the PATH or named by an option.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
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
    # Without HFMA2: no kernel multiplies halves with it, the compiler makes constants of it.
    "multiply-adds": ("FFMA", "DFMA", "HMMA"),
    "global loads": ("LDG", "LD", "LDGSTS"),
    "shared loads": ("LDS", "LDSM"),
    "stores": ("STG", "STS", "ST"),
    "barriers": ("BAR", "DEPBAR", "LDGDEPBAR", "WARPSYNC", "BSYNC"),
    "branches": ("BRA", "CALL", "BSSY", "EXIT", "RET"),
}


_KERNELS = Path(__file__).parents[1] / "kernels"
# Kernels whose main loop is not the innermost one around their multiply-adds, but the next, and how
# often that inner loop is run through in one turn, which the machine code does not show:
# forward_sweep goes through 8 maps by twos, backward_weights through 16 pixels by fours, with
# 16-bit maps through 32 by 16, backward_sweep mostly once through three rows.
_TURNS = {
    "forward_sweep_kernel<float>": 4,
    "backward_sweep_kernel<float, 1, 4>": 1,
    "backward_sweep_kernel<float, 1, 2>": 1,
    "backward_sweep_kernel<__half, 1, 4>": 1,
    "backward_sweep_kernel<__half, 1, 2>": 1,
    "backward_sweep_kernel<__nv_bfloat16, 1, 4>": 1,
    "backward_sweep_kernel<__nv_bfloat16, 1, 2>": 1,
    "backward_weights_kernel<float>": 4,
    "backward_weights_kernel<__half>": 2,
    "backward_weights_kernel<__nv_bfloat16>": 2,
}


@dataclass(frozen=True)
class Way:
    """What one warp executes in one turn of a kernel's main loop."""

    instructions: int
    multiply_adds: int
    global_loads: int
    shared_loads: int

    @property
    def per_multiply_add(self) -> float:
        """Instructions to one multiply-add (of the matrix units: to one of theirs)."""
        return self.instructions / self.multiply_adds


@dataclass
class Kernel:
    """Instructions of one kernel, in the order in which they lie in memory."""

    name: str
    opcodes: list[str] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    jumps: list[tuple[int, str]] = field(default_factory=list)
    always: set[int] = field(default_factory=set)  # instructions behind which nothing follows

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

    def main_way(self, turns: int = 0) -> Way | None:
        """The shortest way through the main loop past its multiply-adds and densest loads.

        The main loop is the innermost one around most multiply-adds in a row; with `turns` above 0
        the next around it, which goes through that one so many times. Of several with as many
        multiply-adds in a row, for instance one for edges, the shortest. None without a loop.
        """
        pieces = self.pieces()
        products = {piece: self._count(piece, "multiply-adds") for piece in pieces}
        most = max(products.values())
        ways = [self._way_past(piece, turns) for piece in pieces if 0 < products[piece] == most]
        found = [way for way in ways if way]
        return min(found, key=lambda way: way.per_multiply_add) if found else None

    def _way_past(self, heart: tuple[int, int], turns: int) -> Way | None:
        pieces, loops = self.pieces(), self.loops()
        around = sorted((b - a, a, b) for a, b in loops if a <= heart[0] and heart[1] <= b)
        if not around:
            return None
        outer = turns > 0 and len(around) > 1
        inner, (_, first, last) = around[0], around[1 if outer else 0]
        # Other loops inside are for rare cases: passed once where no way leads around them.
        rare = [
            (a, b) for a, b in loops
            if first <= a and b <= last and (a, b) != (first, last) and not a <= heart[0] <= b
        ]  # fmt: skip
        way = [piece for piece in pieces if first <= piece[0] and piece[1] <= last]
        dense = max(
            (p for p in way if not any(a <= p[0] <= b for a, b in rare)),
            key=lambda p: self._count(p, "global loads") / (p[1] - p[0] + 1),
        )
        stops = sorted({heart, dense} if self._count(dense, "global loads") else {heart})
        chosen = self._shortest(way, stops)
        weights = {p: turns if outer and inner[1] <= p[0] <= inner[2] else 1 for p in chosen}
        return Way(
            sum(n * (p[1] - p[0] + 1) for p, n in weights.items()),
            *(
                sum(n * self._count(p, kind) for p, n in weights.items())
                for kind in ("multiply-adds", "global loads", "shared loads")
            ),
        )

    def _count(self, piece: tuple[int, int], kind: str) -> int:
        return sum(code in _KINDS[kind] for code in self.opcodes[piece[0] : piece[1] + 1])

    def _shortest(
        self, pieces: list[tuple[int, int]], stops: list[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """The pieces on the shortest way from the first to the last, jumping ahead only."""
        starts = {piece[0]: piece for piece in pieces}
        targets = {at: self.labels[label] for at, label in self.jumps if label in self.labels}
        best: dict[tuple[int, int], tuple[int, list[tuple[int, int]]]] = {pieces[0]: (0, [])}
        for piece in pieces:
            if piece not in best:
                continue
            cost, before = best[piece]
            here = (cost + piece[1] - piece[0] + 1, [*before, piece])
            following = [] if piece[1] in self.always else [piece[1] + 1]
            if piece[1] in targets:
                following.append(targets[piece[1]])
            for start in following:
                after = starts.get(start)
                # No way may jump over a stop.
                missed = any(piece[0] < stop[0] < start for stop in stops)
                if after is None or start <= piece[0] or missed:
                    continue
                if after not in best or here[0] < best[after][0]:
                    best[after] = here
        reached = [best[piece][1] + [piece] for piece in pieces if piece in best]
        return reached[-1]


def read_kernels(text: str) -> list[Kernel]:
    """The kernels in what ``nvdisasm -c`` prints."""
    kernels: list[Kernel] = []
    for line in text.splitlines():
        if match := _FUNCTION.match(line):
            kernels.append(Kernel(match[1]))
        elif kernels and (match := _LABEL.match(line)):
            kernels[-1].labels[match[1]] = len(kernels[-1].opcodes)
        elif kernels and (match := _INSTRUCTION.match(line)):
            unconditional = match[1] is None and not re.match(r"\s*!?U?P\w+\s*,", match[4])
            if match[2] in ("BRA", "EXIT", "RET") and unconditional:
                kernels[-1].always.add(len(kernels[-1].opcodes))
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


def build(arch: str, nvcc: str, only: str, folder: Path) -> Iterable[Path]:
    """Compile each kernel's file for one compute capability, without a dot, into `folder`."""
    includes = [f"-I{_KERNELS / name}" for name in ("include", "common", "cuda")]
    for source in sorted((_KERNELS / "cuda").glob("*.cu")):
        if source.stem == "api" or (only and source.stem not in only and only not in source.stem):
            continue
        cubin = folder / f"{source.stem}.cubin"
        flags = ["-cubin", f"-arch=sm_{arch}", "-O3", "-std=c++17", *includes]
        subprocess.run([nvcc, *flags, "-o", str(cubin), str(source)], check=True)
        yield cubin


def print_table(kernels: list[Kernel], arch: str, path: Path | None) -> None:
    """Print a row of Markdown for each main loop, and write them to `path` as JSON."""
    rows = []
    print("| kernel, one turn of its main loop | instructions | multiply-adds | per multiply-add |")
    print("|---|---|---|---|")
    for kernel in kernels:
        name = readable(kernel.name)
        way = kernel.main_way(_TURNS.get(name, 0))
        if way is None:
            continue
        print(
            f"| `{name}` | {way.instructions} | {way.multiply_adds} | {way.per_multiply_add:.2f} |"
        )
        rows.append({"kernel": name, "arch": arch, **vars(way), "ratio": way.per_multiply_add})
    if path:
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Print, for each kernel, its main loop as a table, or all of it and each of its loops."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cubin", nargs="*", type=Path, help="made by nvcc -cubin for one target")
    parser.add_argument("--build", metavar="90", help="compile the kernels for this target first")
    parser.add_argument("--nvcc", default="nvcc", help="where NVIDIA's compiler is")
    parser.add_argument("--nvdisasm", default="nvdisasm", help="where NVIDIA's disassembler is")
    parser.add_argument("--only", default="", help="kernels whose name contains this")
    parser.add_argument("--pieces", action="store_true", help="also what lies between branches")
    parser.add_argument("--table", action="store_true", help="only the main loop of each kernel")
    parser.add_argument("--json", type=Path, help="where to write the table as JSON")
    options = parser.parse_args()
    for tool in (options.nvdisasm, *([options.nvcc] if options.build else [])):
        if shutil.which(tool) is None:
            parser.error(f"there is no {tool}; the CUDA toolkit has it (--nvcc, --nvdisasm)")
    with tempfile.TemporaryDirectory() as folder:
        built = build(options.build, options.nvcc, options.only, Path(folder))
        paths = [*options.cubin, *(built if options.build else ())]
        kernels = [k for path in paths for k in read_file(path, options.nvdisasm, options.only)]
    if options.table or options.json:
        print_table(kernels, options.build or "", options.json)
        return
    print("instructions, per multiply-add")
    for kernel in kernels:
        print(f"{describe(kernel.opcodes)}   {readable(kernel.name)}")
        for first, last in kernel.loops():
            print(f"{describe(kernel.opcodes[first : last + 1])}   loop at {first}")
        for first, last in kernel.pieces() if options.pieces else []:
            print(f"{describe(kernel.opcodes[first : last + 1])}   piece at {first}")


def read_file(path: Path, nvdisasm: str, only: str) -> list[Kernel]:
    """The kernels of a .cubin whose name contains `only`."""
    command = [nvdisasm, "-c", str(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [kernel for kernel in read_kernels(text) if only in readable(kernel.name)]


if __name__ == "__main__":
    main()
