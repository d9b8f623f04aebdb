# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs kustomize and Helm on files of a repository, as Argo CD does (private to the collection)."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

from .._context import Clock
from .._errors import InvalidInput, NotFound, PermanentError, TransientError
from .._manifests.document import ManifestError, read_yaml
from .._process import Command, Completed, ProcessTimeout, run
from .source import Served, Source, helm_arguments, kustomize_edits, value_files

_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_CHART = "Chart.yaml"
_LISTS = ("resources", "bases", "components", "crds", "configurations", "transformers", "generators")
_KEPT = ("PATH", "TMPDIR", "SSL_CERT_DIR", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
_LINES = 12
#: What Helm says about a chart whose dependencies were not put into the repository.
_UNBUILT = "missing in charts/ directory"


@dataclass(frozen=True)
class Programs:
    """Names or paths of the programs."""

    kustomize: str
    helm: str

    def build(self, options: Sequence[str]) -> list[str]:
        """Return the arguments of ``kustomize build``, which has to be told where Helm is."""
        helm = ["--helm-command", self.helm] if "--enable-helm" in options else []
        return ["build", *options, *helm, "."]


class Renderer:
    """Programs, and folders to run them in; use it as a context manager.

    All work ends at ``deadline`` (monotonic seconds). ``on_tick`` is called about twice a
    second while a program runs.
    """

    def __init__(self, programs: Programs, env: Mapping[str, str], clock: Clock, deadline: float) -> None:
        self.on_tick: Optional[Callable[[float], None]] = None
        self._programs = programs
        self._env = {name: env[name] for name in _KEPT if name in env}
        self._clock = clock
        self._deadline = deadline
        self._folder = ""

    def __enter__(self) -> Renderer:
        try:
            self._folder = tempfile.mkdtemp(prefix="slipway-plan-", dir=self._env.get("TMPDIR") or None)
            os.mkdir(os.path.join(self._folder, "home"))
        except OSError as error:
            raise TransientError("create", "a temporary folder", str(error), code="storage") from error
        return self

    def __exit__(self, *_exc: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def tree(self, name: str) -> str:
        """Return a new empty folder for the files of a repository."""
        path = os.path.join(self._folder, name)
        os.mkdir(path)
        return path

    def put(self, tree: str, path: str, data: bytes) -> None:
        """Replace one file."""
        _inside(tree, path).write_bytes(data)

    def kind(self, tree: str, source: Source, wish: str) -> str:
        """Return kustomize or helm: as wished, as the Application says, else by what the folder holds."""
        folder = _inside(tree, source.path)
        if not folder.is_dir():
            raise NotFound("render", source.path, "the repository has no such folder", code="path_missing")
        if wish != "auto":
            return wish
        if source.kind:
            return source.kind
        if (folder / _CHART).is_file():
            return "helm"
        if any((folder / name).is_file() for name in _KUSTOMIZATIONS):
            return "kustomize"
        cause = "'%s' holds neither a kustomization nor a chart" % (source.path or ".")
        raise InvalidInput("renderer", cause, "Plain manifests have no image entry to deliver.", code="unrenderable")

    def render(self, kind: str, tree: str, source: Source, served: Served) -> str:
        """Return the manifests that the files in ``tree`` make.

        Raises PermanentError ``build_failed`` with what the program said, NotFound
        ``command_not_found``, TransientError ``timeout``.
        """
        folder = _inside(tree, source.path)
        if kind == "helm":
            return self._helm(tree, folder, source, served)
        for arguments in kustomize_edits(source):
            self._run("kustomize", ["edit", *arguments], folder, source)
        self._components(folder, source)
        _append_patches(folder, source.options.get("patches") or [])
        return self._run("kustomize", self._programs.build(source.build.taken), folder, source).out

    def sources(self, kind: str, tree: str, source: Source) -> list[str]:
        """Return the folders and files of the repository that the manifests are made of."""
        if kind == "helm":
            return [source.path or ".", *value_files(source)]
        top = os.path.realpath(tree)
        found: set[str] = set()
        pending = [str(_inside(tree, source.path)), *self._component_folders(tree, source)]
        while pending:
            path = pending.pop()
            if path not in found and (path + os.sep).startswith(top + os.sep):
                found.add(path)
                pending += _references(path)
        return sorted(os.path.relpath(path, top) for path in found)

    def version(self, kind: str) -> str:
        """Return what the program says about itself, in one word."""
        arguments = ["version", "--short"] if kind == "helm" else ["version"]
        done = self._run(kind, arguments, None, None)
        return done.out.strip().split("\n", maxsplit=1)[0][:60]

    @staticmethod
    def _component_folders(tree: str, source: Source) -> list[str]:
        folder = _inside(tree, source.path)
        return [os.path.realpath(folder / str(item)) for item in source.options.get("components") or []]

    def _components(self, folder: Path, source: Source) -> None:
        wanted = [str(item) for item in source.options.get("components") or []]
        if source.options.get("ignoreMissingComponents"):
            wanted = [item for item in wanted if (folder / item).exists()]
        if wanted:
            self._run("kustomize", ["edit", "add", "component", "--", *wanted], folder, source)

    def _helm(self, tree: str, folder: Path, source: Source, served: Served) -> str:
        files = []
        for name in value_files(source):
            path = _inside(tree, name)
            if path.is_file() or not source.options.get("ignoreMissingValueFiles"):
                files.append(str(path))
        inline = _inline_values(source)
        if inline:
            path = Path(tree + ".values.yaml")
            path.write_text(inline, encoding="utf-8")
            files.append(str(path))
        arguments = helm_arguments(source, files, served)
        try:
            return self._run("helm", arguments, folder, source).out
        except PermanentError as error:
            if _UNBUILT not in error.cause:
                raise
        self._run("helm", ["dependency", "build"], folder, source)
        return self._run("helm", arguments, folder, source).out

    def _run(self, kind: str, arguments: Sequence[str], folder: Optional[Path], source: Optional[Source]) -> Completed:
        left_s = self._deadline - self._clock.monotonic()
        argv = [self._programs.helm if kind == "helm" else self._programs.kustomize, *arguments]
        home = os.path.join(self._folder, "home")
        env = dict(self._env, HOME=home, LC_ALL="C", GIT_TERMINAL_PROMPT="0", HELM_NO_PLUGINS="1")
        try:
            if left_s <= 0:
                raise TransientError("run", kind, "no time was left", "Use a longer timeout.", code="timeout")
            done = run(Command(argv, env, left_s, cwd=str(folder) if folder else None), on_tick=self.on_tick)
        except NotFound as error:
            error.hint = "Install %s, or name it with %s_binary." % (kind, kind)
            raise
        except ProcessTimeout as error:
            error.hint = "Use a longer timeout."
            raise
        if done.returncode and folder and source:
            raise _failure(kind, done, folder, source)
        return done


def _failure(kind: str, done: Completed, folder: Path, source: Source) -> PermanentError:
    tree = str(folder)[: len(str(folder)) - len(source.path)].rstrip(os.sep)
    said = (done.err or done.out).replace(os.path.realpath(tree) + os.sep, "").replace(tree + os.sep, "")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    cause = "%s says: %s" % (kind, " ".join(lines[-_LINES:])[:1500] or "nothing (status %d)" % done.returncode)
    return PermanentError("build", "the manifests in %s" % (source.path or "."), cause, code="build_failed")


def _references(path: str) -> list[str]:
    """Return what the kustomization in a folder takes from this repository, as real paths."""
    for name in _KUSTOMIZATIONS:
        file = os.path.join(path, name)
        if not os.path.isfile(file):
            continue
        try:
            document = read_yaml(Path(file).read_text(encoding="utf-8"))[0]
        except (ManifestError, IndexError, UnicodeDecodeError):
            return []  # the program itself says what is wrong with it
        items = [item for key in _LISTS for item in document.get(key) or [] if isinstance(item, str)]
        places = [os.path.realpath(os.path.join(path, item)) for item in items if "\n" not in item and "\0" not in item]
        return [place for place in places if os.path.exists(place)]
    return []


def _inside(tree: str, path: str) -> Path:
    """Return a path below ``tree``, or raise InvalidInput for one that leads out of it."""
    top = os.path.realpath(tree)
    found = os.path.realpath(os.path.join(top, path))
    if not (found + os.sep).startswith(top + os.sep):
        raise InvalidInput("argocd", "its path %s leads out of the repository" % path)
    return Path(found)


def _append_patches(folder: Path, patches: Sequence[Mapping[str, Any]]) -> None:
    """Add the Application's patches to the kustomization, as Argo CD does: there is no command for it."""
    if not patches:
        return
    import yaml

    for name in _KUSTOMIZATIONS:
        path = folder / name
        if path.is_file():
            document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            document["patches"] = [*(document.get("patches") or []), *patches]
            path.write_text(yaml.safe_dump(document), encoding="utf-8")


def _inline_values(source: Source) -> str:
    """Return the values that the Application itself holds; the object counts before the text."""
    import yaml

    values = source.options.get("valuesObject")
    if values:
        return yaml.safe_dump(values)
    return str(source.options.get("values") or "")
