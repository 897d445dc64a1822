"""Benchmarks and scripts run rarely: what they import from the package must be there."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("scripts/**/*.py")])


def imported(program):
    """Each (module, name) that a program imports from the package, inside functions too."""
    for node in ast.walk(ast.parse(program.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("napari_msd"):
            yield from ((node.module, alias.name) for alias in node.names)


def test_there_are_programs():
    assert len(PROGRAMS) > 10


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_everything_that_is_imported_is_there(program):
    for module, name in imported(program):
        if not hasattr(import_module(module), name):
            import_module(f"{module}.{name}")
