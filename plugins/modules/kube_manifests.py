#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_manifests
short_description: Keep a cluster as the manifests of a release say
version_added: "1.0.0"
description:
  - Applies a set of objects that belong together, a release, by server-side apply. Every object is asked about by a
    dry run on the server first, and only those that differ are written, so a second run writes nothing.
  - Goes in the order in which things need each other. Namespaces, then definitions until the server serves them, then
    what workloads need, then workloads, then webhook configurations, then custom resources.
  - An admission webhook that does not answer yet, or whose certificate is not trusted yet, is asked again until it
    answers or the time is over, before the first object behind it is written. What a webhook denies is told at once.
  - Remembers what the release consists of in a ConfigMap, its inventory. So an upgrade removes what the new version
    lacks, and removing the release needs no manifest.
  - A Namespace and a PersistentVolumeClaim are never removed merely because the new version lacks them, since what people
    keep in them would go along. They stop being part of the release; a claim is named in a warning and in RV(kept), and is
    part of the release again when the manifests have it again.
  - A StatefulSet that replaces its pods in order waits until each is ready, the broken ones of an older template too
    (L(kubernetes/kubernetes#67250,https://github.com/kubernetes/kubernetes/issues/67250)). So that a corrected image or
    Secret is seen at all, a pod of an older template that is not ready is deleted while waiting, one at a time and only
    while no pod of the new template is on its way. It needs the rights to list and to delete pods; without them the failure
    says what to delete by hand.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
  - slipway.gitops._kube_auth
attributes:
  check_mode:
    support: full
    details:
      - Dry runs on the server. An object whose namespace or kind would only be made by the run counts as created.
      - It does not wait, so it deletes no pod and names none in RV(replaced).
  diff_mode:
    support: full
    details:
      - Values of Secrets are masked.
  idempotent:
    support: full
options:
  name:
    description: Name of the release. Its inventory is the ConfigMap C(slipway-NAME).
    type: str
    required: true
  namespace:
    description: Namespace of the inventory, and of objects that name none.
    type: str
    required: true
  state:
    description:
      - V(present) applies the release, V(absent) removes what its inventory lists, claims and namespaces included.
      - V(accepted) writes nothing. It asks until the server, with every webhook behind it, would accept all objects.
    type: str
    choices: [present, accepted, absent]
    default: present
  src:
    description: Files with manifests in YAML or JSON.
    type: list
    elements: path
  chart:
    description:
      - A chart to take manifests from. The release has the name and the namespace of this one; hooks are left out.
      - It is rendered on this machine, and nothing but Helm's program is used of Helm.
    type: dict
    suboptions:
      path:
        description: Archive or folder of the chart.
        type: path
        required: true
      values:
        description: Values as YAML or JSON text. They stay out of logs.
        type: str
      kube_version:
        description: Version of Kubernetes that the chart is rendered for. Helm's own default without it.
        type: str
      helm:
        description: Program C(helm).
        type: path
        default: helm
  definitions:
    description: Objects as data, beside those of O(src) and O(chart).
    type: list
    elements: dict
  patches:
    description:
      - Partial objects that are merged into the objects of O(src) and O(chart) of the same version, kind and name. One that
        fits no object is refused.
      - Mappings are merged key by key, and lists of mappings with names, such as containers, by name. Anything else is replaced.
    type: list
    elements: dict
  ignore_kinds:
    description: Kinds whose objects are left out of O(src) and O(chart).
    type: list
    elements: str
  version:
    description: Version of the release, kept in the inventory.
    type: str
  ignore_fields:
    description: Dotted paths of fields that are left out of the manifests because somebody else sets them.
    type: list
    elements: str
  force_conflicts:
    description: Whether to take over fields that another manager has set. Without it such a conflict is an error that names them.
    type: bool
    default: false
  custom_resources:
    description:
      - What happens when a definition has to be removed while objects of its kind exist, which would go with it.
      - V(refuse) changes nothing and names them, V(remove) removes them first, while their controllers still run.
      - Objects that another one owns do not count; they go with their owner.
    type: str
    choices: [refuse, remove]
    default: refuse
  configurations:
    description:
      - Names of releases in the same namespace that configure this one. With O(state=absent) they are removed first, and their
        objects do not count for O(custom_resources).
    type: list
    elements: str
  derived_kinds:
    description: Kinds whose objects the release itself makes, such as reports of its status. They do not count for O(custom_resources).
    type: list
    elements: str
  wait:
    description:
      - Whether to wait until Deployments, DaemonSets and StatefulSets are rolled out.
      - Only while it waits, pods that keep a StatefulSet from its new template are deleted.
    type: bool
    default: true
  wait_timeout:
    description: Longest time of the task, in seconds.
    type: int
    default: 300
seealso:
  - module: kubernetes.core.k8s
"""

EXAMPLES = r"""
- name: Install a release from the manifest of its version
  slipway.gitops.kube_manifests:
    name: clock
    namespace: clock
    version: 1.4.2
    src: [files/clock-1.4.2.yaml]

- name: See what an upgrade would change
  slipway.gitops.kube_manifests:
    name: clock
    namespace: clock
    version: 1.5.0
    src: [files/clock-1.5.0.yaml]
  check_mode: true
  diff: true

- name: Install a release from a chart, with one change that the chart has no value for
  slipway.gitops.kube_manifests:
    name: clock
    namespace: clock
    chart:
      path: files/clock-1.5.0.tgz
      values: "{{ {'replicas': 2} | to_json }}"
      helm: /usr/local/bin/helm
    patches:
      - apiVersion: v1
        kind: Service
        metadata: {name: clock}
        spec: {internalTrafficPolicy: Local}

- name: Keep one more object
  slipway.gitops.kube_manifests:
    name: clock-config
    namespace: clock
    definitions:
      - apiVersion: v1
        kind: ConfigMap
        metadata:
          name: clock-zone
        data:
          zone: Europe/Berlin

- name: Ask whether the cluster would accept an object, and wait for webhooks that are not ready yet
  slipway.gitops.kube_manifests:
    name: clock-question
    namespace: clock
    state: accepted
    definitions:
      - apiVersion: v1
        kind: ConfigMap
        metadata:
          name: never-made

- name: Remove the release with its configuration
  slipway.gitops.kube_manifests:
    name: clock
    namespace: clock
    state: absent
    configurations: [clock-config]
"""

RETURN = r"""
created:
  description: Objects that were made, or would be.
  returned: success
  type: list
  elements: str
  sample: [Deployment clock/clock]
updated:
  description: Objects that were changed, or would be.
  returned: success
  type: list
  elements: str
  sample: [ConfigMap clock/clock-zone]
removed:
  description: Objects that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: []
kept:
  description: Claims that were part of the release, are no longer, and stay.
  returned: success
  type: list
  elements: str
  sample: [PersistentVolumeClaim clock/data]
replaced:
  description: Pods of an older template that were not ready and were deleted, so that their StatefulSet could go on.
  returned: success
  type: list
  elements: str
  sample: [Pod clock/clock-0]
version:
  description: Version of the release afterwards.
  returned: success
  type: str
  sample: 1.5.0
previous_version:
  description: Version that the inventory named before.
  returned: success
  type: str
  sample: 1.4.2
webhook:
  description: How long admission kept the run waiting.
  returned: success
  type: dict
  contains:
    seconds:
      description: Time until everything was accepted, 0 when nothing was refused.
      type: float
      returned: always
    refusals:
      description: How often a dry run was refused.
      type: int
      returned: always
    first_refusal:
      description: What the server said the first time.
      type: str
      returned: always
  sample: {seconds: 1.7, refusals: 3, first_refusal: "failed calling webhook: connection refused"}
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 17.2
error_class:
  description: V(permanent), V(transient) or V(busy).
  returned: failure
  type: str
  sample: permanent
error:
  description:
    - The failure in parts. C(error.code) is for programs, for example V(custom_resources), V(denied), V(field_conflict),
      V(unknown_kind) or V(timeout).
  returned: failure
  type: dict
  sample:
    code: custom_resources
    resource: clock
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.kube_manifests import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
