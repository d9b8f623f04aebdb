#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: argocd_app
short_description: Manage an Argo CD Application and wait until it is synced to a commit
version_added: "1.0.0"
description:
  - Creates, changes and deletes Applications through the Kubernetes API alone, by server-side apply. No Argo CD token
    is needed, and it works with an Argo CD that has no API server.
  - With O(state=synced) it asks Argo CD to refresh and waits until the Application is synced to O(revision), without
    polling. What it requires is that Argo CD compared this very commit, and that the operation for it succeeded. See
    the notes for what that means under automated sync.
  - A field that Argo CD does not know is refused with the nearest name. Argo CD's own command line and API drop such
    fields silently.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
  - slipway.gitops._lease
  - slipway.gitops._kube_auth
attributes:
  check_mode:
    support: full
    details:
      - O(state=present) asks the API server with C(dryRun=All), so that all its checks apply and nothing is stored.
        Where nothing differs it is not asked, as without check mode.
      - O(state=synced) judges what Argo CD knows now, without asking it to refresh and without waiting.
  diff_mode:
    support: full
    details:
      - Values under keys that name a secret are masked.
  idempotent:
    support: full
    details:
      - O(state=present) writes only when a field differs, is no longer given, or is not ours yet. What it reads tells
        that, with the notes of the API server about who applied which field, so that one request is enough then.
options:
  name:
    description: Name of the Application.
    type: str
    required: true
  namespace:
    description: Namespace of the Application.
    type: str
    default: argocd
  state:
    description:
      - V(present) means that the Application exists with these fields.
      - V(absent) means that it does not exist; O(cascade) says what becomes of its resources.
      - V(synced) means that an existing Application is synced to O(revision).
    type: str
    choices: [present, absent, synced]
    default: present
  spec:
    description:
      - The C(spec) of the Application in Argo CD's own spelling. Required with O(state=present).
      - These fields become ours, the others stay whose they are. A field that is left out later is removed.
      - The address of a repository must neither be a local path nor carry a password.
    type: dict
  labels:
    description: Labels of the Application. Labels of other managers stay.
    type: dict
  annotations:
    description: Annotations of the Application. Annotations of other managers stay.
    type: dict
  finalizers:
    description:
      - Finalizers of the Application. With V(resources-finalizer.argocd.argoproj.io), whoever deletes the Application
        deletes its resources too.
    type: list
    elements: str
  force_conflicts:
    description:
      - Whether to take over fields that another manager owns, for example after C(kubectl apply).
      - Without it such a conflict is an error that names the fields and the manager.
    type: bool
    default: false
  cascade:
    description:
      - With O(state=absent), what becomes of the Application's resources in the cluster.
      - V(foreground) and V(background) delete them, with that propagation policy. V(none) leaves them running.
      - Without it V(foreground) is used, as by Argo CD itself.
    type: str
    choices: [foreground, background, none]
  revision:
    description:
      - With O(state=synced), the full id of the commit to be synced to.
      - Without it, the head of C(targetRevision), whatever it is.
      - For an Application with one source only.
    type: str
  expected:
    description:
      - What was delivered by O(revision), so that a later commit can be recognised as containing it.
      - The repository is read only when Argo CD reports another revision than O(revision). Without this option such a
        revision never counts as success.
    type: dict
    suboptions:
      repo:
        description: Address of the repository, as V(https://host/path), V(ssh://user@host/path) or V(user@host:path).
        type: str
        required: true
      branch:
        description: Branch that Argo CD follows.
        type: str
        default: main
      key_file:
        description:
          - Path of the private key for SSH.
          - E(SLIPWAY_GIT_KEY_FILE) is used when the option is not set.
        type: path
      known_hosts:
        description:
          - Path of a file with the host keys to trust. Host keys are always checked.
          - E(SLIPWAY_GIT_KNOWN_HOSTS) is used when the option is not set.
        type: path
      username:
        description:
          - User name for HTTPS.
          - E(SLIPWAY_GIT_USERNAME) is used when the option is not set.
        type: str
      password:
        description:
          - Password or token for HTTPS.
          - E(SLIPWAY_GIT_PASSWORD) is used when the option is not set.
        type: str
      ca_cert:
        description:
          - Path of a file with the certificate authorities to trust for HTTPS.
          - E(SLIPWAY_GIT_CA_CERT) is used when the option is not set.
        type: path
      allow_file_urls:
        description: Whether the repository may be a folder of this machine.
        type: bool
        default: false
      timeout:
        description: How long one question to the repository may take, in seconds.
        type: float
        default: 60.0
      path:
        description: Path of the kustomization, or of its folder, inside the repository.
        type: str
        required: true
      images:
        description:
          - Names of the images that were delivered, as M(slipway.gitops.kustomize_image) set them.
          - Either these or O(expected.values).
        type: list
        elements: str
      values:
        description: Keys of the values that were delivered, as M(slipway.gitops.yaml_value) set them.
        type: list
        elements: str
  operation:
    description: How to sync, when an operation of our own has to be started.
    type: dict
    suboptions:
      prune:
        description: Whether to delete resources that are no longer in Git.
        type: bool
        default: false
      sync_options:
        description: Sync options in Argo CD's spelling, instead of those of the Application.
        type: list
        elements: str
      resources:
        description: Sync only these resources. One that the Application does not have is an error.
        type: list
        elements: dict
        suboptions:
          group:
            description: API group, empty for the core group.
            type: str
            default: ''
          kind:
            description: Kind of the resource.
            type: str
            required: true
          name:
            description: Name of the resource.
            type: str
            required: true
          namespace:
            description: Namespace of the resource.
            type: str
      retry_limit:
        description: How often Argo CD tries again, instead of what the Application says.
        type: int
      force:
        description: Whether to delete and create resources that cannot be changed in place. This interrupts service.
        type: bool
        default: false
  retry_failed:
    description:
      - Whether to start one operation of our own when the automated operation for the commit failed. Argo CD does not
        try a commit again that it failed to sync.
    type: bool
    default: false
  manual:
    description:
      - Whether to start one operation of our own, as a person would, where the sync windows of the AppProject hold the
        automated operation back. A window without C(manualSync) holds that one back, too.
      - Where the AppProject may not be read, it is started as soon as the automated operation does not begin, and Argo CD
        itself keeps the windows. One that it holds back ends the task with C(error.code=window_closed), stays in the
        Application and is synced when the window lets it. Terminate it in Argo CD if it must not be.
    type: bool
    default: false
  hard_refresh:
    description: Whether to make Argo CD render the manifests anew, also when it has them in its cache.
    type: bool
    default: false
  wait:
    description:
      - With O(state=present), wait until Argo CD has compared the Application, and synced it if it does so by itself.
        Off unless set.
      - With O(state=absent), wait until the Application is gone. On unless set.
      - O(state=synced) always waits.
    type: bool
  wait_timeout:
    description: How long to wait, in seconds.
    type: int
    default: 300
  wait_for_health:
    description:
      - With O(state=synced), also wait until Argo CD calls the Application healthy.
      - Healthy is no verdict on a release. A container that crashes a moment after its start looks healthy for that
        moment. Use M(slipway.gitops.health_gate) to judge a release.
    type: bool
    default: false
  return_object:
    description: Whether to return the Application itself as RV(object), without its status, secrets masked.
    type: bool
    default: false
notes:
  - Under automated sync another commit may land right after yours, and Argo CD then syncs that one and never yours.
    That is success if it contains your commit and left what O(expected) names as your commit set it. If it
    changed them, the task ends with C(error.code=superseded) and RV(superseded_by).
  - An operation of our own is started only when automated sync is off, with O(retry_failed) when the automated one
    failed, or with O(manual) when a sync window holds the automated one back. The checks of Argo CD's API server are
    made first, since writing to the Kubernetes API bypasses them. No operation starts while another runs, while the
    Application is being deleted, outside the sync windows of its AppProject, or to another revision than automated
    sync follows. That may be a later commit than yours, which the note above judges.
  - Needs the rights C(get), C(list), C(watch), C(patch) for C(applications.argoproj.io), C(update) to start an
    operation, C(delete) for O(state=absent), and C(get) for C(appprojects.argoproj.io) to see sync windows.
seealso:
  - module: slipway.gitops.argocd_app_info
  - module: slipway.gitops.health_gate
  - module: slipway.gitops.kustomize_image
  - module: kubernetes.core.k8s
"""

EXAMPLES = r"""
- name: Let Argo CD deploy the sample application
  slipway.gitops.argocd_app:
    name: sample
    finalizers:
      - resources-finalizer.argocd.argoproj.io
    spec:
      project: default
      source:
        repoURL: ssh://slipway-git@10.244.0.1:2222/sample.git
        targetRevision: main
        path: apps/sample/overlays/local
      destination:
        server: https://kubernetes.default.svc
        namespace: sample
      syncPolicy:
        automated:
          prune: true
          selfHeal: true
        syncOptions:
          - CreateNamespace=true

- name: Wait until it is synced to the head of its branch
  slipway.gitops.argocd_app:
    name: sample
    state: synced
    wait_timeout: 120
  register: synced

- name: Wait until it is synced to one commit
  slipway.gitops.argocd_app:
    name: sample
    state: synced
    revision: "{{ synced.revision }}"
    wait_for_health: true

- name: Delete the Application and keep what it deployed
  slipway.gitops.argocd_app:
    name: sample
    state: absent
    cascade: none
"""

RETURN = r"""
application:
  description: What Argo CD knows of the Application. V(null) with O(state=absent) when there was none.
  returned: success, and failure while waiting
  type: dict
  sample:
    name: sample
    namespace: argocd
    project: default
    automated: true
    sources: [{repo: "ssh://git@git.example.com/sample.git", path: overlays/staging, chart: "", target_revision: main}]
    destination: {server: "https://kubernetes.default.svc", namespace: sample}
    images: ["registry.example.com/sample:2"]
    sync: {status: Synced, revision: 3f2a6ad1c0b54a1f9d0c7f4b6f0a7c1e2d3b4a59, operation: {phase: Succeeded}}
    health: Healthy
    conditions: []
sync:
  description: The comparison, and the operation that runs or ran last.
  returned: O(state=present) or O(state=synced), and failure while waiting
  type: dict
  contains:
    status:
      description: Result of the comparison.
      type: str
      sample: Synced
    revision:
      description: Commit that was compared.
      type: str
      sample: 3f2a6ad1c0b54a1f9d0c7f4b6f0a7c1e2d3b4a59
    operation:
      description: The operation, empty if there was none. C(failed_resources) lists what it could not do.
      type: dict
      sample:
        phase: Succeeded
        revision: 3f2a6ad1c0b54a1f9d0c7f4b6f0a7c1e2d3b4a59
        message: successfully synced (all tasks run)
        started_at: "2026-11-21T09:14:03Z"
        finished_at: "2026-11-21T09:14:04Z"
        automated: true
        initiated_by: ""
        id: ""
        failed_resources: []
health:
  description: Health as Argo CD reports it.
  returned: O(state=present) or O(state=synced), and failure while waiting
  type: str
  sample: Healthy
conditions:
  description: Conditions of the Application. Messages about Secrets are withheld.
  returned: O(state=present) or O(state=synced), and failure while waiting
  type: list
  elements: dict
  sample: []
revision:
  description: The commit that was reached. With automated sync it may be a later one than O(revision).
  returned: O(state=synced), and failure while waiting
  type: str
  sample: 3f2a6ad1c0b54a1f9d0c7f4b6f0a7c1e2d3b4a59
operation_started:
  description: Whether this task started an operation of its own.
  returned: O(state=synced), and failure while waiting
  type: bool
  sample: false
superseded_by:
  description: The later commit that changed what was delivered, empty if none did.
  returned: O(state=synced), and failure while waiting
  type: str
  sample: ''
removed:
  description: Resources that Argo CD deletes together with the Application.
  returned: O(state=absent)
  type: list
  elements: dict
  sample: [{group: apps, kind: Deployment, namespace: sample, name: sample}]
object:
  description: The Application without its status.
  returned: O(return_object=true)
  type: dict
  sample: {apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: sample, namespace: argocd}, spec: {project: default}}
seconds:
  description: Seconds spent waiting.
  returned: success, and failure while waiting
  type: float
  sample: 2.312
error_class:
  description:
    - Class of the failure. V(transient) (C(timeout), C(stuck)), V(busy) (another operation, a closed sync window),
      V(fenced) (the lease was lost, or C(superseded)), V(unhealthy) (the sync failed), V(permanent).
  returned: failure
  type: str
  sample: unhealthy
error:
  description: Code of the failure, the object it is about, and what to do. The codes do not change; messages may.
  returned: failure
  type: dict
  sample: {code: sync_failed, resource: Application argocd/sample, hint: "Argo CD does not try this commit again by itself."}
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.argocd_app import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
