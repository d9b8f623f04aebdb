#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_plan
short_description: Show what a delivery would change, and a hash to confirm it by
version_added: "1.0.0"
description:
  - Computes what a delivery would do, without doing any of it. The edit in Git, the commits that go live with it, the
    manifests before and after as kustomize or Helm render them, and what the API server answers to them.
  - RV(hash) stands for exactly this plan. It covers the UID of the cluster, the environment, the application with the
    place that it is deployed to, the digests now and next, the contents of the touched file before and after, and the
    rendered manifests. Time, queue, windows, backups, unrelated commits and whatever is in O(shown) do not count.
  - The manifests are compared with the cluster by a server-side apply with C(dryRun=All) in the name of Argo CD's field
    manager. Nothing is stored. Where the identity may not do so, the plan names the right and goes on; the hash is the
    same.
  - An edit that would deliver nothing, such as an image entry that no rendered workload uses, is an error
    (C(error.code=no_effect)), and so are files that do not build (C(error.code=build_failed)).
  - Values of Secrets, and other values under names that suggest a secret, are masked. A masked value that changes
    differs in its mask.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
  - slipway.gitops._git
  - slipway.gitops._kube_auth.beside_git
attributes:
  check_mode:
    support: full
    details:
      - Computes the same plan, and writes no file to O(dest).
  diff_mode:
    support: none
    details:
      - The differences are in RV(plan) and RV(text).
  idempotent:
    support: full
options:
  path:
    description:
      - The kustomization (its folder or the file) or the values file that is edited, relative to the top of the
        repository, as for M(slipway.gitops.kustomize_image) and M(slipway.gitops.yaml_value).
    type: str
    required: true
  images:
    description: Images to set, as for M(slipway.gitops.kustomize_image). Either this or O(values).
    type: list
    elements: dict
    suboptions:
      name:
        description: The C(name) of the entry, the image as the workloads spell it.
        type: str
        required: true
      new_name:
        description: Repository to take the image from.
        type: str
        aliases: [newName]
      new_tag:
        description: Tag. It takes the place of a digest.
        type: str
        aliases: [newTag]
      digest:
        description: Digest. It takes the place of a tag.
        type: str
      exact:
        description: Also remove the fields that are not given.
        type: bool
        default: false
      create:
        description: Add the entry when it is not there.
        type: bool
        default: false
  deny_tags:
    description: Patterns of tags to refuse. Not looked at with O(kind=rollback).
    type: list
    elements: str
    default: [latest]
  values:
    description: Values to set, as for M(slipway.gitops.yaml_value). Either this or O(images).
    type: list
    elements: dict
    suboptions:
      key:
        description: Path of the key, such as V(image.tag).
        type: str
        required: true
      value:
        description: Text, whole number or boolean.
        type: raw
      plain:
        description: Write the text without quotes. With O(kind=rollback) only.
        type: bool
        default: false
      state:
        description: Whether the key shall be there.
        type: str
        choices: [present, absent]
        default: present
      create:
        description: Add the key when it is not there.
        type: bool
        default: false
  deny_values:
    description: Patterns of values to refuse. Not looked at with O(kind=rollback).
    type: list
    elements: str
    default: []
  kind:
    description: Why the edit is made. V(rollback) restores a recorded state exactly.
    type: str
    choices: [deploy, rollback]
    default: deploy
  environment:
    description: Environment that is delivered to.
    type: str
    required: true
  application:
    description: Application that is delivered.
    type: str
    required: true
  version:
    description: Release that is delivered.
    type: str
    required: true
  cluster:
    description:
      - Which cluster it is, as RV(slipway.gitops.cluster_preflight#module:cluster) tells. Its C(uid) is hashed, and
        compared once more with the cluster that answers.
    type: dict
    required: true
  since:
    description: Full commit id of the last verified release. Without it no commits are listed.
    type: str
  argocd:
    description:
      - The Application, to render as it does. Its options for kustomize and Helm, its values files and its destination are
        taken into account; what is not is listed in the plan.
      - Without it the folder of O(path) is rendered as it is.
    type: dict
    suboptions:
      name:
        description: Name of the Application.
        type: str
        required: true
      namespace:
        description: Namespace of the Application.
        type: str
        default: argocd
  renderer:
    description: What renders the manifests. V(auto) is what the Application says, else what its folder holds.
    type: str
    choices: [auto, kustomize, helm]
    default: auto
  kustomize_binary:
    description: Name or path of kustomize. Use the version that Argo CD uses.
    type: path
    default: kustomize
  helm_binary:
    description: Name or path of Helm. Use the version that Argo CD uses.
    type: path
    default: helm
  kustomize_build_options:
    description:
      - More options for C(kustomize build), instead of those that Argo CD has in C(kustomize.buildOptions) of its ConfigMap
        C(argocd-cm). An empty list means none.
      - Without it those of Argo CD are read and used as far as they only change what is rendered. What lets the repository
        run programs or read other files of this machine, such as V(--enable-helm) or
        V(--load-restrictor=LoadRestrictionsNone), is left out. Either the files build without, which renders the same, and
        the plan tells what was left out, or the task fails with C(error.code=build_failed) and says which option it takes.
        Give it here when you trust the repository with that. One that is not known is refused with
        C(error.code=build_options).
      - Without the right to read the ConfigMap nothing is given to kustomize, and the plan says so.
    type: list
    elements: str
  digests:
    description: Digests of the images, hashed as they are given.
    type: dict
    suboptions:
      now:
        description: The digest, or a list or dictionary of digests, that is live.
        type: raw
      next:
        description: The digest, or a list or dictionary of digests, that is delivered.
        type: raw
  shown:
    description: More facts to show with the plan, such as queue, windows, last backup, rights. They are not hashed.
    type: dict
  dest:
    description: Folder to write C(plan.json) and C(plan.txt) to, for their owner only. It is created.
    type: path
requirements:
  - git 2.24 or newer
  - OpenSSH client 8.0 or newer, for SSH
  - PyYAML
  - kustomize or Helm 3
notes:
  - The commit of the delivery is not known before it is made. Where Argo CD's C($ARGOCD_APP_REVISION) is used, zeros
    stand for it, shown as C(<the commit of this delivery>).
  - A chart that renders something else each time, such as a random password, has another hash each time.
  - O(timeout) is for everything together.
seealso:
  - module: slipway.gitops.confirm
  - module: slipway.gitops.cluster_preflight
  - module: slipway.gitops.kustomize_image
  - module: slipway.gitops.yaml_value
"""

EXAMPLES = r"""
- name: Learn which cluster it is
  slipway.gitops.cluster_preflight:
    kubeconfig: "{{ world }}/kubeconfig"
    namespace: sample
  register: preflight

- name: Plan a release
  slipway.gitops.release_plan:
    repo: ssh://slipway-git@10.244.0.1:2222/sample.git
    key_file: "{{ world }}/git-client/id_ed25519"
    known_hosts: "{{ world }}/git-client/known_hosts"
    path: apps/sample/overlays/local
    images:
      - name: registry.slipway.test/sample
        new_tag: "3"
    environment: local
    application: sample
    version: "3"
    cluster: "{{ preflight.cluster }}"
    argocd:
      name: sample
    kubeconfig: "{{ world }}/kubeconfig"
    kustomize_binary: "{{ kustomize }}"
  register: plan

- name: Show it
  ansible.builtin.debug:
    msg: "{{ plan.text.splitlines() }}"

- name: Write the plan to a folder, with facts that are shown and not hashed
  slipway.gitops.release_plan:
    repo: ssh://slipway-git@10.244.0.1:2222/sample.git
    key_file: "{{ world }}/git-client/id_ed25519"
    known_hosts: "{{ world }}/git-client/known_hosts"
    path: apps/sample/overlays/local
    images:
      - name: registry.slipway.test/sample
        new_tag: "3"
    environment: local
    application: sample
    version: "3"
    cluster: "{{ preflight.cluster }}"
    argocd:
      name: sample
    shown:
      last backup: none
      queue: free
    dest: "{{ plans }}/sample-3"
    kubeconfig: "{{ world }}/kubeconfig"
    kustomize_binary: "{{ kustomize }}"
  register: written

- name: Plan without an Application, from the folder alone
  slipway.gitops.release_plan:
    repo: ssh://slipway-git@10.244.0.1:2222/sample.git
    key_file: "{{ world }}/git-client/id_ed25519"
    known_hosts: "{{ world }}/git-client/known_hosts"
    path: apps/sample/overlays/staging
    images:
      - name: registry.slipway.test/sample
        new_tag: "3"
    environment: staging
    application: sample
    version: "3"
    cluster: "{{ preflight.cluster }}"
    kubeconfig: "{{ world }}/kubeconfig"
    kustomize_binary: "{{ kustomize }}"

- name: Stop when the plan is another one than that which was confirmed
  ansible.builtin.assert:
    that: written.hash == plan.hash
"""

RETURN = r"""
plan:
  description: The plan as data, the same as in C(plan.json).
  returned: success
  type: dict
  contains:
    application:
      description: Name, destination, and what Argo CD says about the Application now.
      type: dict
    environment:
      description: The environment.
      type: str
    cluster:
      description: What was given as O(cluster).
      type: dict
    release:
      description: C(now) and C(next), each with C(version), C(digest) and what is set in Git (C(set)).
      type: dict
    commits:
      description: The commits since O(since); C(of_application) touch its files, C(brought_live) are not live yet.
      type: dict
    git:
      description: Branch, C(tip), C(path) of the file, whether it changes, and its C(diff).
      type: dict
    render:
      description: The renderer and its version, what it did not take into account, and each object with its change.
      type: dict
    live:
      description: Each object as the API server would change it, with C(missing_rights) where it was not asked.
      type: dict
    images:
      description: The images of all containers, who uses them, and whether they are new.
      type: list
    problems:
      description:
        - What a person should look at first, as C(code) and C(message). C(dry_run_refused) is what the API server would
          refuse, C(dry_run_unsupported) what a webhook keeps it from trying, C(not_there_yet) what lacks its namespace
          or kind, C(build_failed_before) a state in Git that does not build without the edit, C(not_reproducible) a
          chart that no plan can be confirmed of.
      type: list
    shown:
      description: What was given as O(shown).
      type: dict
    hashed:
      description: The ingredients of the hash. Two plans can be compared by it. Contents stand for themselves by SHA-256.
      type: dict
    hash:
      description: SHA-256 of the canonical JSON of C(hashed), which has sorted keys and no spaces.
      type: str
hash:
  description: The hash of the plan.
  returned: success
  type: str
  sample: 7904b6918809edea39e12d62051df378ed310dbaa520eb507b97955f0e7d702f
text:
  description: The plan for people.
  returned: success
  type: str
  sample: "PLAN  sample 3 -> production"
files:
  description: Files that were written.
  returned: success
  type: list
  elements: str
  sample: [/var/lib/plans/sample-3/plan.json, /var/lib/plans/sample-3/plan.txt]
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.release_plan import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
