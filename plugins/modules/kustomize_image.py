#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kustomize_image
short_description: Set images of a kustomization in a Git branch
version_added: "1.0.0"
description:
  - Sets name, tag or digest of entries of C(images) in a C(kustomization.yaml) of a remote repository, with one commit
    and one push for all of them. Nothing has to be checked out before.
  - Only the characters of the wanted values change. Comments, quotes, indentation, line ends and everything else stay
    byte for byte as they are, and the edited file is parsed again and compared before it is committed.
  - A tag that YAML could take for a number, a boolean, a date or null is written as a quoted string.
  - The branch is only ever extended. When another commit was pushed first, the edit is made again on the new tip, until
    O(timeout). When the answer to a push is lost, the module looks whether its commit arrived before it does anything
    else.
  - It stops when the branch was deleted, rewritten or set back meanwhile, when a hook or a branch protection refuses
    the push, and when a host key or a certificate is not the expected one.
  - When there is nothing to change there is no commit and no push.
  - With O(lease) a small file C(.slipway/fences/ENVIRONMENT) in the same commit records the number of the delivery.
    A delivery that was overtaken by a later one finds its number there and writes nothing more. The commit message ends
    with trailers (C(Deploy-Entry), C(Deploy-Fence), C(Deploy-Environment), C(Deploy-App), C(Deploy-Version),
    C(Deploy-Kind)) that programs can read back.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
  - slipway.gitops._git
  - slipway.gitops._git_commit
  - slipway.gitops._lease
attributes:
  check_mode:
    support: full
    details:
      - Fetches and plans, and shows the difference; commits and pushes nothing.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  path:
    description:
      - Folder of the kustomization, or the file itself, relative to the top of the repository; V(.) is the top.
      - A folder must hold exactly one of C(kustomization.yaml), C(kustomization.yml) and C(Kustomization). Symbolic
        links and submodules are not followed.
    type: str
    required: true
  images:
    description: Images to set, each name once.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The C(name) of the entry, the image as the workloads spell it. It must be in the file once.
        type: str
        required: true
      new_name:
        description: Repository to take the image from (C(newName)), without tag and digest.
        type: str
        aliases: [newName]
      new_tag:
        description: Tag (C(newTag)). It takes the place of a digest.
        type: str
        aliases: [newTag]
      digest:
        description: Digest, such as C(sha256:...). It takes the place of a tag.
        type: str
      exact:
        description:
          - Also remove those of C(newName), C(newTag) and C(digest) that are not given here, so that the entry becomes
            exactly this. Otherwise they stay.
          - Always so with O(kind=rollback).
        type: bool
        default: false
      create:
        description: Add the entry, and the list C(images), when it is not there. Otherwise that is an error.
        type: bool
        default: false
  deny_tags:
    description:
      - Patterns of tags to refuse, with C(*), C(?) and C([...]), because they do not name one build.
      - Not looked at with O(kind=rollback), since what was verified once may be restored.
    type: list
    elements: str
    default: [latest]
requirements:
  - git 2.24 or newer
  - OpenSSH client 8.0 or newer, for SSH
  - PyYAML
notes:
  - Neither the configuration of the user and the machine nor hooks, agents and credential helpers take part.
  - Over SSH all requests of a task share one connection.
  - Pushes of one machine to one branch wait for each other, through a lock file in C(~/.cache/slipway-gitops)
    (E(SLIPWAY_CACHE)).
seealso:
  - module: slipway.gitops.argocd_app
  - module: slipway.gitops.deploy_queue
  - module: ansible.builtin.git
"""

EXAMPLES = r"""
- name: Set the tag of an image
  slipway.gitops.kustomize_image:
    repo: ssh://slipway-git@10.244.0.1:2222/sample.git
    key_file: "{{ world }}/git-client/id_ed25519"
    known_hosts: "{{ world }}/git-client/known_hosts"
    path: apps/sample/overlays/staging
    images:
      - name: registry.slipway.test/sample
        new_tag: "2"
  register: edit

- name: Look what a delivery would change
  slipway.gitops.kustomize_image:
    repo: ssh://slipway-git@10.244.0.1:2222/sample.git
    key_file: "{{ world }}/git-client/id_ed25519"
    known_hosts: "{{ world }}/git-client/known_hosts"
    path: apps/sample/overlays/staging
    images:
      - name: registry.slipway.test/sample
        new_tag: "3"
  check_mode: true
  diff: true

- name: Deliver a digest, with a readable record in the history
  slipway.gitops.kustomize_image:
    repo: ssh://slipway-git@10.244.0.1:2222/sample.git
    key_file: "{{ world }}/git-client/id_ed25519"
    known_hosts: "{{ world }}/git-client/known_hosts"
    path: apps/sample/overlays/staging
    images:
      - name: registry.slipway.test/sample
        digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    app: sample
    version: 3.0.0
    trailers:
      Source-Commit: 4b825dc642cb6eb9a060e54bf8d69288fbee4904
  register: delivery

- name: Restore what was there before it, fields that were absent included
  slipway.gitops.kustomize_image:
    repo: ssh://slipway-git@10.244.0.1:2222/sample.git
    key_file: "{{ world }}/git-client/id_ed25519"
    known_hosts: "{{ world }}/git-client/known_hosts"
    path: apps/sample/overlays/staging
    images: "{{ delivery.before }}"
    kind: rollback
    app: sample
    version: "2"
"""

RETURN = r"""
commit:
  description:
    - The commit that holds the images. Ours when it was pushed, otherwise the tip of the branch.
    - On failure with C(error.code=push_unknown) the commit whose arrival could not be checked.
  returned: success
  type: str
  sample: 8ac94e8baf09efbe07f4d95c33d35a5dd3b5e6c5
before:
  description: Each image as it was, in the order and spelling of kustomize. A field that was absent is null.
  returned: success
  type: list
  elements: dict
  sample: [{name: registry.slipway.test/sample, newName: null, newTag: "1", digest: null}]
after:
  description: Each image as it is now. Both lists can be given to O(images), with O(kind=rollback) to restore a state.
  returned: success
  type: list
  elements: dict
  sample: [{name: registry.slipway.test/sample, newName: null, newTag: "2", digest: null}]
branch:
  description: The branch.
  returned: success
  type: str
  sample: main
path:
  description: The file in the repository.
  returned: success
  type: str
  sample: apps/sample/overlays/staging/kustomization.yaml
fence:
  description: Number of the delivery that wrote last before this task, 0 if none is known.
  returned: success
  type: int
  sample: 14
pushed:
  description: Whether a commit was pushed.
  returned: success
  type: bool
  sample: true
attempts:
  description: How many pushes it took; more than one after a lost race.
  returned: success
  type: int
  sample: 1
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 0.412
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.kustomize_image import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
