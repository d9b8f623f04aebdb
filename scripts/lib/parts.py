# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of ``scripts/test``. Each gets a Run, starts tools and records what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Callable, Optional, Sequence

from . import console, env, lanes, machine, meeting_ansible, places, shared_world, staging
from .running import Run

#: The oldest Python on which modules run.
FLOOR = "3.9"


def lint(run: Run) -> None:
    """Format, style, types, YAML, roles and shell."""
    caches = places.cache() / "lint"
    extra = {"RUFF_CACHE_DIR": str(caches / "ruff"), "MYPY_CACHE_DIR": str(caches / "mypy")}
    run.tool("ruff format", ["ruff", "format", "--check", "."], extra=extra)
    run.tool("ruff check", ["ruff", "check", "."], extra=extra)
    # mypy must see the files under their real package name, else relative imports mean nothing.
    package = run.tools.collections / "ansible_collections/slipway/gitops/plugins"
    typed = [str(package / name) for name in ("module_utils", "plugin_utils")]
    settings = str(places.CHECKOUT / ".mypy.ini")
    run.tool("mypy strict", ["mypy", "--config-file", settings, *typed], extra=extra, cwd=run.tools.collections)
    run.tool("mypy scripts", ["mypy", "--config-file", settings, "scripts/lib"], extra=extra)
    run.tool("yamllint", ["yamllint", "--strict", "."])
    _ansible_lint(run)
    _shellcheck(run)


def _ansible_lint(run: Run) -> None:
    """Lint a copy: the linter must not walk what Git ignores, nor write into the checkout."""
    folder = staging.copied("lint")
    root = folder.parents[2]
    extra = {"ANSIBLE_COLLECTIONS_PATH": str(root)}
    program = str(places.CHECKOUT / "scripts/lib/ansible_lint.py")
    run.tool("ansible-lint", ["python", program, "--offline", "--profile", "production"], extra=extra, cwd=folder)


def _shellcheck(run: Run) -> None:
    """Check every shell script that Git knows, by its first line or its name."""
    scripts = [str(name) for name in staging.files() if _is_shell(places.CHECKOUT / name)]
    if not scripts:
        return
    machine.install(machine.missing("shellcheck"))
    program = shutil.which("shellcheck") or "shellcheck"
    console.say("  shellcheck")
    status = console.run([program, *scripts], "shellcheck", log=run.log("shellcheck"), cwd=places.CHECKOUT)
    run.part.record("shellcheck", status == 0, "log %s" % run.log("shellcheck"))


def _is_shell(path: Path) -> bool:
    if path.is_symlink() or path.suffix in (".j2", ".md"):
        return False
    with path.open("rb") as stream:
        first = stream.readline(80)
    return path.suffix == ".sh" or (first.startswith(b"#!") and first.rstrip().endswith(b"sh"))


def docs(run: Run) -> None:
    """Documentation of plugins and roles, changelog, build of the collection."""
    folder = staging.copied("docs")
    extra = {"ANSIBLE_COLLECTIONS_PATH": str(folder.parents[2])}
    lint_docs = ["antsibull-docs", "lint-collection-docs", "--plugin-docs"]
    run.tool(
        "antsibull-docs lint", [*lint_docs, "--validate-collection-refs", "dependent", "."], extra=extra, cwd=folder
    )
    run.tool("antsibull-changelog lint", ["antsibull-changelog", "lint"], extra=extra, cwd=folder)
    build = ["ansible-galaxy", "collection", "build", "--force", "--output-path", str(run.part.logs)]
    run.tool("collection build", build, extra=extra, cwd=folder)


#: pip, put into ansible-test's empty environments without its download. In a child process,
#: because ensurepip drops pip's configuration from the process that it runs in.
_GET_PIP = """\
import runpy, subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"], stdout=subprocess.DEVNULL)
sys.argv[1:] = ["install"] + [word for word in sys.argv[1:] if not word.startswith("--no-")]
runpy.run_module("pip", run_name="__main__")
"""


def _offer_pip(tools: env.Environment) -> None:
    """Put the file that ansible-test would download where it looks for it; never replace one."""
    source = next(tools.folder.glob("lib/python3*/site-packages/ansible_test/_internal/python_requirements.py"))
    cache = Path("~/.ansible/test/cache").expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    for version in re.findall(r"\bpip='([\d.]+)'", source.read_text()):
        target = cache / ("get_pip_%s.py" % version.replace(".", "_"))
        if not target.exists():
            target.write_text(_GET_PIP)


def sanity(run: Run) -> None:
    """Ansible's own sanity tests on the core of ``dev``; the decisive ones on the others."""
    machine.install(machine.missing("shellcheck"))
    if run.full:
        _sanity(run, run.tools, run.tools.python, [])
    else:
        # Each module is imported on this Python below, with the oldest core, and on two others.
        _sanity(run, run.tools, run.tools.python, ["--skip-test", "pylint", "--skip-test", "import"])
        # What is delivered; of the tests it takes most of a minute and says what ruff and mypy say.
        _sanity(run, run.tools, run.tools.python, ["--test", "pylint", "plugins/"])
    floor = machine.find_python(FLOOR)
    importable = ["--test", "import", "--test", "compile"]
    if floor is None:
        run.part.skip("sanity on Python %s" % FLOOR, "this machine has no Python %s" % FLOOR)
    else:
        _sanity(run, run.tools, FLOOR, importable, floor.parent)
    for tools in run.other_cores("sanity"):
        _sanity(run, tools, tools.python, [] if run.full else ["--test", "validate-modules", *importable])


def _sanity(
    run: Run, tools: env.Environment, python: str, chosen: Sequence[str], programs: Optional[Path] = None
) -> None:
    """Run sanity tests for one Python; ``programs`` is where ansible-test shall find it."""
    what = " ".join(["sanity %s python %s" % (tools.name, python), *_alone(chosen)])
    console.say("  " + what)
    _offer_pip(tools)
    # The commands of the checkout are no part of the collection; ruff and mypy look at them.
    folder = staging.copied(what.replace(" ", "-"), without=("scripts", ".ci"))
    extra = {"ANSIBLE_COLLECTIONS_PATH": str(folder.parents[2]), "PYTHONDONTWRITEBYTECODE": ""}
    if programs:
        extra["PATH"] = os.pathsep.join([str(tools.folder / "bin"), str(programs), os.environ.get("PATH", os.defpath)])
    command = ["ansible-test", "sanity", "--color", "no", "--python", python, *chosen]
    status = tools.run(command, what, log=run.log(what), extra=extra, cwd=folder, show=_sanity_line)
    run.part.add_sanity(run.log(what), what, status)


def _alone(chosen: Sequence[str]) -> list[str]:
    """Return the name of a sanity test that is run on its own."""
    return list(chosen[1:2]) if chosen.count("--test") == 1 else []


def _sanity_line(line: str) -> None:
    """Show what ansible-test tests and finds; what pip installs for it is in the log."""
    if line.startswith(("Running", "Installing requirements", "ERROR", "FATAL", "See doc")) or "issue" in line:
        console.indented(line)


def world(run: Run) -> None:
    """Bring the local world up: cluster, Argo CD, registry, Git server, sample application."""
    _world_is_up(run)


def unit(run: Run) -> None:
    """Unit tests and the rules of the repository."""
    run.pytest("unit", "tests/unit")


def cores(run: Run) -> None:
    """Unit tests of the plugins on the other ansible-core versions."""
    for tools in run.other_cores("unit tests"):
        if run.full:
            run.pytest("unit %s" % tools.name, "tests/unit/plugins", tools=tools)
        elif tools.name != "core-2.16":  # its Python is that of dev, and fastpath runs on its core
            run.pytest("unit %s" % tools.name, *meeting_ansible.tests(), tools=tools)


def fastpath(run: Run) -> None:
    """In-process and module give the same, and a person is asked, on every ansible-core at hand."""
    if _world_is_up(run):
        run.extra["SLIPWAY_TEST_CORES"] = _cores(run)
        paths = [str(_WORLD_TESTS.relative_to(places.CHECKOUT) / ("test_%s.py" % name)) for name in _FAST_PATH]
        run.pytest("fast path", *_ON_THE_WORLD, *paths)


def integration(run: Run) -> None:
    """Everything that needs a real cluster, Argo CD, Git server and registry."""
    if _world_is_up(run):
        files = [path for path in sorted(_WORLD_TESTS.glob("test_*.py")) if _name(path) not in _FAST_PATH]
        chosen = set(lanes.mine(run.lane, "integration", [_name(path) for path in files]))
        paths = [str(path.relative_to(places.CHECKOUT)) for path in files if _name(path) in chosen]
        run.pytest("integration", *_ON_THE_WORLD, *paths)


def lifecycle(run: Run) -> None:
    """Bring up, heal and remove local clusters of its own, next to the shared one."""
    if _can_run_pods(run, "lifecycle"):
        # The tests' own network leads nowhere: what the clusters are made of comes before.
        fetch = ["ansible-playbook", "-i", "localhost,", "tests/integration/lifecycle/fetch.yml"]
        run.tool("fetch", fetch)
        run.pytest("lifecycle", *_ON_THE_WORLD, "tests/integration/lifecycle")


def molecule(run: Run) -> None:
    """Every role scenario: check mode, converge, idempotence, verify."""
    if not _world_is_up(run):
        return
    found = sorted(path.parent.name for path in places.CHECKOUT.glob("extensions/molecule/*/molecule.yml"))
    for scenario in lanes.mine(run.lane, "molecule", [name for name in found if name != _OWNER]):
        # Shared at the gate; at full size each finds a new one, as with a team that uses this role alone.
        if not run.full or _new_world(run, scenario):
            _molecule(run, "test", scenario, scenario)


#: The scenario that owns the local world.
_OWNER = "default"


def _new_world(run: Run, scenario: str) -> bool:
    """Remove the world and make it anew; return whether it is there."""
    return all(_molecule(run, step, _OWNER, "%s before %s" % (step, scenario)) for step in ("destroy", "create"))


def _molecule(run: Run, step: str, scenario: str, title: str) -> bool:
    """Run a command of Molecule; return whether it went well. One that met no host has tested nothing and fails."""
    what = "molecule %s" % title
    console.say("  " + what)
    folder = places.cache() / "molecule" / scenario
    # Molecule notes there what it has done, and would not do it again in another run.
    shutil.rmtree(folder, ignore_errors=True)
    path = os.pathsep.join([str(places.CHECKOUT / "scripts/lib/molecule_path"), run.tools.variables["PATH"]])
    extra = {"MOLECULE_EPHEMERAL_DIRECTORY": str(folder), "PATH": path}
    status = run.tools.run(["molecule", step, "--scenario-name", scenario], what, log=run.log(what), extra=extra)
    said = run.log(what).read_text(errors="replace")
    went_well = status == 0 and "no hosts matched" not in said and "PLAY RECAP" in said
    run.part.record(what, went_well, "exit status %d, log %s" % (status, run.log(what)))
    return went_well


#: One test may bring up or heal a whole cluster; its name is shown while it runs.
_ON_THE_WORLD = ("-vv", "-o", "faulthandler_timeout=900")
_WORLD_TESTS = places.CHECKOUT / "tests/integration/world"
#: Those that run on every ansible-core.
_FAST_PATH = ("fast_path", "fast_path_cluster", "confirm")


def _name(path: Path) -> str:
    return path.stem.removeprefix("test_")


#: The world of this run, and whether it came up.
WORLD = shared_world.SharedWorld()
_CAME_UP: dict[str, bool] = {}


def _world_is_up(run: Run) -> bool:
    """Have the shared local world, once per run; tell why not where that cannot be."""
    if not _can_run_pods(run, "the local world"):
        return False
    if lanes.current():
        return True  # the run that started this one has it up
    if "world" not in _CAME_UP:
        console.say("  local world")
        if not WORLD.is_begun:
            WORLD.begin(run.tools)
        _CAME_UP["world"] = WORLD.wait()
        run.part.record("local world", _CAME_UP["world"], "log %s" % WORLD.log)
    elif not _CAME_UP["world"]:
        run.part.record(run.part.name, False, "the local world did not come up")
    return _CAME_UP["world"]


def _can_run_pods(run: Run, what: str) -> bool:
    """Whether this machine can run containers for us. In a pipeline it must, unless told otherwise."""
    reason = shared_world.obstacle()
    if reason and shared_world.may_be_left_out():
        run.part.skip(what, reason)
    elif reason:
        run.part.record(what, False, "%s; SLIPWAY_TEST_ALLOW_SKIP=world allows to leave it out" % reason)
    return not reason


def _cores(run: Run) -> str:
    """Return core name -> folder of its programs, as the tests of the fast path read it."""
    environments = [run.tools, *run.other_cores("fast path")]
    return json.dumps({tools.name: str(tools.folder / "bin") for tools in environments})


#: In this order. Those before ``world`` are quick to judge and do not measure time, so they
#: run while the world is brought up in the background.
PARTS: dict[str, Callable[[Run], None]] = {
    part.__name__: part for part in (lint, docs, sanity, world, unit, cores, fastpath, integration, lifecycle, molecule)
}
NEED_WORLD = {"world", "fastpath", "integration", "molecule"}


def size_from_environment() -> bool:
    """Whether the caller asked for the full size by environment."""
    return os.environ.get("SLIPWAY_TEST_SIZE") == "full"
