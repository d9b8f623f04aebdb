# SPDX-License-Identifier: GPL-3.0-or-later
"""A real bare repository on disk, other people's commits in it, and the module's use case on it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Optional

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry import kustomize_image

BASE = "kind: Kustomization\nimages:\n- name: shop  # the shop\n  newTag: v1\n- name: other\n  newTag: v1\n"
PATH = "apps/shop/overlays/staging"
FILE = PATH + "/kustomization.yaml"

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Other",
    "GIT_AUTHOR_EMAIL": "other@example.org",
    "GIT_COMMITTER_NAME": "Other",
    "GIT_COMMITTER_EMAIL": "other@example.org",
}


class Remote:
    """A bare repository with a branch ``main``; ``write`` is somebody else's commit."""

    def __init__(self, folder: Path, files: Optional[dict[str, str]] = None) -> None:
        self.folder = folder / "remote.git"
        self.url = "file://%s" % self.folder
        self.env = dict(ENV, GIT_DIR=str(self.folder))
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(self.folder)], env=ENV, check=True)
        self.git("config", "uploadpack.allowFilter", "true")
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")
        self.write(files or {FILE: BASE, "README.md": "read me\n"})

    def git(self, *args: str, data: Optional[str] = None) -> str:
        done = subprocess.run(["git", *args], env=self.env, input=data, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, files: dict[str, Optional[str]], mode: str = "100644", branch: str = "main") -> str:
        """Commit files (None removes one) on top of a branch and return the commit."""
        lines = [
            "commit refs/heads/%s" % branch,
            "committer Other <other@example.org> 1700000000 +0000",
            "data 5",
            "other",
        ]
        if self.git("for-each-ref", "refs/heads/%s" % branch):
            lines.append("from refs/heads/%s^0" % branch)
        for path, text in files.items():
            if text is None:
                lines.append("D %s" % path)
            elif mode == "160000":
                lines.append("M 160000 %s %s" % (text, path))
            else:
                lines += ["M %s inline %s" % (mode, path), "data %d" % len(text.encode()), text]
        self.git("fast-import", "--quiet", data="\n".join(lines) + "\n\n")
        return self.tip(branch)

    def tip(self, branch: str = "main") -> str:
        return self.git("rev-parse", "refs/heads/%s" % branch)

    def read(self, path: str = FILE, commit: str = "main") -> str:
        done = subprocess.run(
            ["git", "cat-file", "blob", "%s:%s" % (commit, path)], env=self.env, capture_output=True, check=True
        )
        return done.stdout.decode()

    def count(self) -> int:
        return int(self.git("rev-list", "--count", "main"))

    def hook(self, name: str, script: str) -> None:
        path = self.folder / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + script, encoding="utf-8")
        path.chmod(0o755)

    def state(self) -> tuple[str, list[str]]:
        """Return references and object names: what must be equal when nothing was done."""
        objects = sorted(str(path) for path in (self.folder / "objects").rglob("*") if path.is_file())
        return self.git("for-each-ref"), objects


def image(tag: str = "v2", name: str = "shop", **more: Any) -> dict[str, Any]:
    return dict({"name": name, "new_tag": tag}, **more)


def parameters(repo: str, **changes: Any) -> dict[str, Any]:
    """Return the module's parameters with defaults filled in, as Ansible would hand them over."""
    spec = kustomize_image.ARGUMENT_SPEC
    given = dict({"repo": repo, "path": PATH, "images": [image()], "allow_file_urls": True, "timeout": 20.0}, **changes)
    unknown = set(given) - set(spec)
    assert not unknown, unknown
    return {name: given.get(name, option.get("default")) for name, option in spec.items()}


def context(folder: Path, warn: Callable[[str], None] = lambda message: None, **changes: Any) -> Context:
    env = dict(
        {"PATH": os.environ["PATH"], "HOME": str(folder), "SLIPWAY_CACHE": str(folder / "cache")},
        **changes.pop("env", {}),
    )
    return Context(env=env, warn=warn, **changes)


def set_image(folder: Path, repo: str, ctx: Optional[Context] = None, **changes: Any) -> dict[str, Any]:
    """Run the module's use case with its real ports."""
    return kustomize_image.run(parameters(repo, **changes), ctx or context(folder))
