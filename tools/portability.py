"""Compile the CPU core and the trees with every compiler that is found, and run what can be run.

For systems that we do not have, as far as Linux lets us: gcc and clang, for x86-64 and for ARM
(whose programs run under qemu-user), Windows and macOS by zig's clang (compiled, not run). What
runs are the programs of kernels/testing, which need neither Python nor torch; on x86-64 once more
under valgrind. What is not found is said and left out.

Usage: python tools/portability.py [--build FOLDER] [--strict] [NAME ...]

On Debian and Ubuntu::

    apt-get install cmake ninja-build g++ clang g++-aarch64-linux-gnu qemu-user valgrind
    pip install ziglang
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
ARM = "aarch64-linux-gnu"
QEMU = ("qemu-aarch64", "-L", f"/usr/{ARM}")
VALGRIND = ("valgrind", "--quiet", "--error-exitcode=9")


@dataclass(frozen=True)
class Target:
    """A compiler, and what it compiles for.

    Parameters
    ----------
    name
        As on the command line; its build folder is called so, too.
    compiler
        Program and options; `zig` stands for zig's clang.
    needs
        Other programs that must be there.
    options
        Of CMake.
    checks
        How the core is run: a value of NAPARI_MSD_CPU_VARIANT, the variant that must run (none:
        any), and the program that runs it. None at all: nothing here can run it.
    links
        Whether libraries and programs can be linked, too: zig knows no bundles of macOS.
    """

    name: str
    compiler: tuple[str, ...]
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    checks: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    links: bool = True


def system(name: str, processor: str) -> tuple[str, ...]:
    """Return CMake's options for another system than this one."""
    return (f"-DCMAKE_SYSTEM_NAME={name}", f"-DCMAKE_SYSTEM_PROCESSOR={processor}")


# The best one that this processor has, and those below it.
X86 = (("", "", ()), ("avx2", "AVX2", ()), ("baseline", "baseline", ()))
MEMORY = (("avx2", "AVX2", VALGRIND), ("baseline", "baseline", VALGRIND))
NEON = (("", "NEON", QEMU),)

TARGETS = (
    Target("gcc", ("g++",), checks=X86),
    Target("clang", ("clang++",), checks=X86),
    Target("valgrind", ("g++",), VALGRIND[:1], checks=MEMORY),
    Target("gcc-arm", (f"{ARM}-g++",), QEMU[:1], system("Linux", "aarch64"), NEON),
    Target(
        "clang-arm",
        ("clang++", f"--target={ARM}"),
        (QEMU[0], f"{ARM}-g++"),  # which has the headers and libraries
        system("Linux", "aarch64"),
        NEON,
    ),
    *(
        Target(
            f"zig-{name.lower()}-{processor}",
            ("zig", "-target", f"{processor}-{abi}"),
            options=(*system(name, processor), "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY"),
            links=name != "Darwin",
        )
        for name, abi in (("Windows", "windows-gnu"), ("Darwin", "macos"))
        for processor in ("x86_64", "aarch64")
    ),
)


def missing(target: Target) -> list[str]:
    """Return what has to be installed before this target can be compiled."""
    program = target.compiler[0]
    if program == "zig":
        return [] if zig() else ["ziglang"]
    return [name for name in ("cmake", "ninja", program, *target.needs) if not shutil.which(name)]


def zig() -> str | None:
    """Return the path of the compiler in PyPI's ziglang, if that is installed."""
    spec = importlib.util.find_spec("ziglang")
    return str(Path(spec.origin).with_name("zig")) if spec and spec.origin else None


def say(command: list[str], **variables: str) -> str:
    """Return what a command prints, errors included.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails; its `stdout` says why.
    """
    return subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **variables},
    ).stdout.strip()


def compile_for(target: Target, build: Path) -> None:
    """Configure and compile; warnings are errors.

    Raises
    ------
    subprocess.CalledProcessError
        If that fails; its `stdout` says why.
    """
    program, *options = target.compiler
    compiler = [zig() or "", "c++", *options] if program == "zig" else [program, *options]
    configure = ["cmake", "-S", str(ROOT), "-B", str(build), "-G", "Ninja", *target.options]
    configure += ["-DNAPARI_MSD_CUDA=OFF", "-DNAPARI_MSD_CHECKS=ON"]
    configure += [f"-DCMAKE_CXX_COMPILER={';'.join(compiler)}"]
    say(configure)
    ninja = ["ninja", "-C", str(build)]
    if not target.links:
        lines = say([*ninja, "-t", "targets", "all"]).splitlines()
        ninja += [line.split(":")[0] for line in lines if ": CXX_COMPILER" in line]
    say(ninja)


def run(target: Target, build: Path) -> Iterator[str]:
    """Run the target's programs, and yield what each says.

    Raises
    ------
    subprocess.CalledProcessError
        If one fails; its `stdout` says why.
    """
    programs = build / "kernels" / "testing"
    for asked, wanted, runner in target.checks:
        command = [*runner, str(programs / "check_core"), *filter(None, [wanted])]
        yield say(command, NAPARI_MSD_CPU_VARIANT=asked)
    for runner in sorted({runner for _, _, runner in target.checks}):
        yield say([*runner, str(programs / "run_trees")])


def main() -> int:
    """Compile for the targets that were named, or for all; return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "portability")
    parser.add_argument("--strict", action="store_true", help="fail if something is not found")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(t.name for t in TARGETS))
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - {target.name for target in TARGETS}:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if sys.platform != "linux" or platform.machine() != "x86_64":
        print("Only Linux on x86-64 has compilers for all others.")
        return int(arguments.strict)
    failed, bits = [], {}
    for target in TARGETS:
        if arguments.names and target.name not in arguments.names:
            continue
        print(f"{target.name}: ", end="", flush=True)
        if lacking := missing(target):
            print(f"left out, not found: {', '.join(lacking)}")
            failed += [target.name] if arguments.strict else []
            continue
        try:
            build = arguments.build / target.name
            compile_for(target, build)
            print("compiled" if target.links else "compiled, not linked", flush=True)
            for line in run(target, build):
                print(f"  {line}", flush=True)
                if found := re.search(r"bits (\w+)", line):
                    bits[target.name] = found[1]
        except subprocess.CalledProcessError as error:
            print(f"failed: {' '.join(error.cmd)}\n{error.stdout or ''}")
            failed.append(target.name)
    if len(set(bits.values())) > 1:
        print(f"The trees are not the same everywhere: {bits}")
        failed.append("trees")
    print(f"failed: {', '.join(failed)}" if failed else "all is well")
    return len(failed)


if __name__ == "__main__":
    raise SystemExit(main())
