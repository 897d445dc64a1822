"""Files beside the package that must agree with each other, and with the code."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import napari_msd
from napari_msd.native.libraries import find_library, open_library

from .conftest import MARKED

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOWS = {
    path.name: yaml.safe_load(path.read_text("utf-8"))
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
}
JOBS = [
    pytest.param(job, id=f"{file}-{name}")
    for file, workflow in WORKFLOWS.items()
    for name, job in workflow["jobs"].items()
]

# Actions of two napari developers, whose releases we could not look up by hash.
PINNED_BY_TAG = {"tlambert03/setup-qt-libs@v1", "aganders3/headless-gui@v2"}


# --- the version -------------------------------------------------------------------------------


def test_python_and_the_compiled_core_know_the_version_of_pyproject():
    assert napari_msd.__version__ == PROJECT["version"]
    path = find_library("cpu")
    if path is None:
        pytest.skip("the CPU core is not built here")
    compiled = open_library(path).functions.msd_version().decode()
    assert compiled == Version(PROJECT["version"]).base_version


@pytest.mark.parametrize("file", ["CMakeLists.txt", "CITATION.cff", "napari.yaml", "README.md"])
def test_no_other_file_repeats_the_version(file):
    assert PROJECT["version"] not in (ROOT / file).read_text("utf-8")


# --- dependencies ------------------------------------------------------------------------------


def imported_packages():
    """Names of the distributions that the package's modules import, by normalised name."""
    distributions = packages_distributions()
    names = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.split(".")[0])
    third_party = names - set(sys.stdlib_module_names) - {"napari_msd"}
    return {distributions.get(name, [name])[0].lower().replace("_", "-") for name in third_party}


def declared_packages():
    return {Requirement(text).name.lower() for text in PROJECT["dependencies"]}


def test_every_dependency_is_imported_somewhere():
    assert declared_packages() - imported_packages() == set()


def test_every_imported_package_is_a_dependency():
    assert imported_packages() - declared_packages() == set()


def test_the_pinned_versions_are_allowed_by_pyproject():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = dict(line.lower().split("==") for line in lines if "==" in line)
    refused = [
        text
        for requirement in map(Requirement, PROJECT["dependencies"])
        if not requirement.specifier.contains(text := pinned[requirement.name.lower()])
    ]
    assert refused == []


@pytest.mark.parametrize("name", ["ruff", "clang-format"])
def test_the_hook_has_the_version_of_the_constraints(name):
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    (hook,) = [repo["rev"] for repo in config["repos"] if name in repo["repo"]]
    assert f"{name}=={hook.removeprefix('v')}\n" in (ROOT / "constraints.txt").read_text("utf-8")


# --- tests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("marker", MARKED)
def test_what_is_marked_by_its_path_is_there(marker):
    assert [path for path in MARKED[marker] if not (ROOT / "tests" / path).exists()] == []


# --- clocks ------------------------------------------------------------------------------------


def test_nothing_waits_on_the_time_of_day():
    """It is set back and forth; `time.monotonic` is not.

    Sessions say when they were saved, and another computer's claim on one ends after minutes
    (docs/decisions/0009-session-file.md).
    """
    dated = {
        Path("src/napari_msd/plugin") / name
        for name in ("sessions.py", "session_list.py", "session_offers.py")
    } | {Path("src/napari_msd/storage") / name for name in ("opening.py", "owner.py", "store.py")}
    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "src").rglob("*.py")
        if path.relative_to(ROOT) not in dated
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.Attribute) and ast.unparse(node) == "time.time")
        or (
            (isinstance(node, ast.ImportFrom) and node.module == "time")
            and any(alias.name == "time" for alias in node.names)
        )
    ]
    assert calls == []


# --- continuous integration --------------------------------------------------------------------


def test_ci_runs_the_oldest_and_newest_python_that_is_promised():
    classifiers = "\n".join(PROJECT["classifiers"])
    promised = sorted(map(Version, re.findall(r"Python :: (3\.\d+)$", classifiers, re.MULTILINE)))
    assert PROJECT["requires-python"] == f">={promised[0]}"
    jobs = WORKFLOWS["tests.yml"]["jobs"]
    tested = set(map(Version, jobs["systems"]["strategy"]["matrix"]["python"]))
    assert {promised[0], promised[-1]} <= tested <= set(promised)
    (lowest,) = [
        step["with"]["python-version"]
        for step in jobs["lowest"]["steps"]
        if "setup-python" in step.get("uses", "")
    ]
    assert Version(lowest) == promised[0]


def test_only_what_is_new_may_fail():
    jobs = WORKFLOWS["tests.yml"]["jobs"]
    assert [name for name, job in jobs.items() if job.get("continue-on-error")] == ["newest"]


@pytest.mark.parametrize("job", JOBS)
def test_a_job_ends_by_itself(job):
    assert "uses" in job or job["timeout-minutes"] <= 60


@pytest.mark.parametrize("file", WORKFLOWS)
def test_actions_are_pinned(file):
    text = (ROOT / ".github" / "workflows" / file).read_text("utf-8")
    actions = set(re.findall(r"uses: (.+)", text))
    pinned = {use for use in actions if re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", use)}
    local = {use for use in actions if use.startswith("./")}
    assert actions - pinned - local <= PINNED_BY_TAG


def test_an_action_has_the_same_version_everywhere():
    uses = set()
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        uses.update(re.findall(r"uses: ([\w/-]+)@(.+)", path.read_text("utf-8")))
    assert len(uses) == len({action for action, _version in uses})


# --- releases ----------------------------------------------------------------------------------


def test_only_the_last_jobs_of_a_release_may_write():
    rights = {
        (file, name): job["permissions"]
        for file, workflow in WORKFLOWS.items()
        for name, job in workflow["jobs"].items()
        if "permissions" in job
    }
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == {"contents": "read"}
    assert rights == {
        ("release.yml", "pypi"): {"id-token": "write"},
        ("release.yml", "github"): {"contents": "write"},
    }


def test_nothing_is_published_that_was_not_checked_and_built():
    jobs = WORKFLOWS["release.yml"]["jobs"]
    assert [jobs[name]["needs"] for name in ("build", "pypi", "github")] == [
        "ready",
        "build",
        "pypi",
    ]
    names = {
        step["with"]["name"]
        for job in WORKFLOWS["wheels.yml"]["jobs"].values()
        for step in job["steps"]
        if "upload-artifact" in step.get("uses", "")
    }
    assert names
    assert all(name.startswith("dist-") for name in names)


# --- citation ----------------------------------------------------------------------------------


def test_the_citation_names_the_paper_of_the_readme():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]
    paper = citation["preferred-citation"]
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"https://doi.org/{paper['doi']}" in readme
    assert paper["title"] in " ".join(readme.replace(">", " ").split())
