#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: yaml_value
short_description: Set single values of a YAML file in a Git branch
version_added: "1.0.0"
description:
  - Sets text, numbers and booleans in a YAML file of a remote repository, such as the values file of a Helm application,
    with one commit and one push for all of them. Nothing has to be checked out before.
  - Only the characters of the wanted values change. Comments, quotes, indentation, line ends, a byte-order mark and
    everything else stay byte for byte as they are, and the edited file is parsed again and compared before it is
    committed.
  - Text stays text. It keeps the quotes that the old value has, and gets quotes where a YAML reader could take it for a
    number, a boolean, a date or null. So C(1.10), C(0123), C(1e5), C(on) and C(~) are tags and nothing else.
  - A file with several documents, with a key twice in one mapping, or with the touched value behind an anchor, an alias or
    a merge key is refused, because an edit would change more than one place.
  - The branch is only ever extended. When another commit was pushed first, the edit is made again on the new tip, until
    O(timeout). When the answer to a push is lost, the module looks whether its commit arrived before it does anything
    else.
  - When there is nothing to change there is no commit and no push.
  - With O(lease) a small file C(.slipway/fences/ENVIRONMENT) in the same commit records the number of the delivery, as
    with M(slipway.gitops.kustomize_image).
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
      - The file, relative to the top of the repository. Its top level must be a mapping.
      - Symbolic links and submodules are not followed.
    type: str
    required: true
  values:
    description: Values to set, each key once.
    type: list
    elements: dict
    required: true
    suboptions:
      key:
        description:
          - Where the value is, from the top of the file, spelled as for Helm's C(--set), for example V(image.tag).
          - V([0]) names an item of a list, as in V(containers[0].image). A dot, a bracket or a backslash that is part of a
            name is written with a backslash before it, as in V(podLabels.app\\.kubernetes\\.io/version).
        type: str
        required: true
      value:
        description:
          - The value, which is text, a whole number or a boolean. A number with a fraction is refused, since it may no
            longer be what was typed.
          - Null, text of several lines and numbers of any size are taken with O(kind=rollback) only, to restore a recorded
            state.
        type: raw
      plain:
        description:
          - Write the text O(values[].value) without quotes, although readers of YAML disagree about it or take it for
            something else, such as V(yes) or V(0.75). It is part of a recorded state, and taken with O(kind=rollback)
            only.
        type: bool
        default: false
      state:
        description: With V(absent) the key is removed with its line.
        type: str
        choices: [present, absent]
        default: present
      create:
        description:
          - Add the key, at the end of the mapping that it belongs into, when it is not there. The mapping must be there.
            Otherwise that is an error.
          - Always so with O(kind=rollback).
        type: bool
        default: false
  deny_values:
    description:
      - Patterns of text to refuse, with C(*), C(?) and C([...]), for example because it does not name one build.
      - Not looked at with O(kind=rollback), since what was verified once may be restored.
    type: list
    elements: str
    default: []
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
  - module: slipway.gitops.kustomize_image
  - module: slipway.gitops.argocd_app
  - module: slipway.gitops.deploy_queue
  - module: ansible.builtin.git
"""

EXAMPLES = r"""
- name: Set the tag in the values file of a Helm application
  slipway.gitops.yaml_value:
    repo: ssh://slipway-git@10.244.0.1:2222/sample.git
    key_file: "{{ world }}/git-client/id_ed25519"
    known_hosts: "{{ world }}/git-client/known_hosts"
    path: apps/sample-helm/values.yaml
    values:
      - key: image.tag
        value: "2"
  register: edit

- name: Look what a delivery would change
  slipway.gitops.yaml_value:
    repo: ssh://slipway-git@10.244.0.1:2222/sample.git
    key_file: "{{ world }}/git-client/id_ed25519"
    known_hosts: "{{ world }}/git-client/known_hosts"
    path: apps/sample-helm/values.yaml
    values:
      - key: image.tag
        value: "3"
  check_mode: true
  diff: true

- name: Set several values at once, with a readable record in the history
  slipway.gitops.yaml_value:
    repo: ssh://slipway-git@10.244.0.1:2222/sample.git
    key_file: "{{ world }}/git-client/id_ed25519"
    known_hosts: "{{ world }}/git-client/known_hosts"
    path: apps/sample-helm/values.yaml
    values:
      - key: image.tag
        value: "3"
      - key: image.digest
        value: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
      - key: replicas
        value: 3
      - key: podLabels.app\.kubernetes\.io/version
        value: "3"
        create: true
    deny_values: [latest]
    app: sample
    version: 3.0.0
    trailers:
      Source-Commit: 4b825dc642cb6eb9a060e54bf8d69288fbee4904
  register: delivery

- name: Restore what was there before it, keys that were absent included
  slipway.gitops.yaml_value:
    repo: ssh://slipway-git@10.244.0.1:2222/sample.git
    key_file: "{{ world }}/git-client/id_ed25519"
    known_hosts: "{{ world }}/git-client/known_hosts"
    path: apps/sample-helm/values.yaml
    values: "{{ delivery.before }}"
    kind: rollback
    app: sample
    version: "2"
"""

RETURN = r"""
commit:
  description:
    - The commit that holds the values. Ours when it was pushed, otherwise the tip of the branch.
    - On failure with C(error.code=push_unknown) the commit whose arrival could not be checked.
  returned: success
  type: str
  sample: 8ac94e8baf09efbe07f4d95c33d35a5dd3b5e6c5
before:
  description:
    - Each value as it was, in the order asked for. A key that was not there has C(state=absent).
    - Values that readers of YAML disagree about, such as an unquoted V(1.10), are returned as the text that stands there, with
      C(plain=true).
  returned: success
  type: list
  elements: dict
  sample: [{key: image.tag, value: "1", state: present}]
after:
  description: Each value as it is now. Both lists can be given to O(values), with O(kind=rollback) to restore a state.
  returned: success
  type: list
  elements: dict
  sample: [{key: image.tag, value: "2", state: present}]
branch:
  description: The branch.
  returned: success
  type: str
  sample: main
path:
  description: The file in the repository.
  returned: success
  type: str
  sample: apps/sample-helm/values.yaml
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

from ansible_collections.slipway.gitops.plugins.module_utils._entry.yaml_value import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
