#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: health_gate
short_description: Decide by evidence whether a release is live and stays so
version_added: "1.0.0"
description:
  - Watches Deployments until the delivered release is completely live and has stayed so for a window of time, and asks
    URLs whether they answer as the new version. Returns a verdict, and what explains it when it is not V(pass).
  - A Deployment is ready when the live object carries the delivered image (O(images)), its controller has seen the
    current generation, the ReplicaSet of the current template has all its pods ready and available, and no pod of an
    older template is serving. A delivery that makes no new template, for example of the same release again, is normal.
  - Then the window of O(stable_for) begins. It begins again when a container of the current template ends, restarts or
    is replaced, or when readiness drops. A container that crashed in the last ten minutes must also outlive its
    previous life, up to one minute, so that a slow crash loop does not fit between two looks. What it has lived before
    the gate looked counts. Before it says V(pass) the gate reads everything once more.
  - So a release that crashes at start and has no readiness probe, which looks healthy for a moment after each start,
    does not pass.
  - A release that cannot succeed ends the wait early. These are a crash loop beyond O(max_restarts), an image that the
    registry does not have (after 15 seconds), an invalid image name, a missing ConfigMap, Secret or key (after 10
    seconds), a progress deadline that the current ReplicaSet missed, a paused Deployment and one scaled to zero.
  - Reads only. It needs the rights to get, list and watch Deployments, ReplicaSets and Pods, and for the diagnosis to
    list Events and get C(pods/log); what it may not read for the diagnosis is named there and changes no verdict.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
  - slipway.gitops._kube_auth
  - slipway.gitops._lease
attributes:
  check_mode:
    support: full
    details:
      - Reads only, so it does the same; it does not renew O(lease).
  diff_mode:
    support: none
    details:
      - Changes nothing.
  idempotent:
    support: full
options:
  namespace:
    description: Namespace of O(deployments) or O(label_selectors), which require it.
    type: str
  deployments:
    description:
      - Names of the Deployments to judge. One that does not exist is a failure.
      - At least one of O(deployments), O(label_selectors), O(application) and O(http) is required, because a gate
        without a check would pass anything.
    type: list
    elements: str
  label_selectors:
    description: Judge the Deployments that match all of these selectors. No match is a failure.
    type: list
    elements: str
  application:
    description:
      - Judge the Deployments that an Argo CD Application manages. None is a failure.
      - The Application must deploy to the cluster that Argo CD runs in.
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
  images:
    description:
      - Image references that were delivered, with tag or digest. With both, the digest counts.
      - Each must be on one of the judged Deployments, and no container may use another tag or digest of the same
        repository.
    type: list
    elements: str
  http:
    description:
      - URLs that must answer as expected, several times in a row, from the moment the rollout is ready and the old pods
        are gone. Asked together with the window of O(stable_for).
      - Proxies of the environment are not used, redirects are answers and are not followed, bodies are read up to
        1 MiB. Link-local and cloud metadata addresses are refused, also when a name leads there.
    type: list
    elements: dict
    suboptions:
      url:
        description: Address to ask with GET; C(http) or C(https), without user information.
        type: str
        required: true
      status:
        description: Status codes that are right.
        type: list
        elements: int
        default: [200]
      version:
        description: Version that the JSON body must report at O(http[].version_path).
        type: str
      version_path:
        description: Where the version is in the body, as a JMESPath expression.
        type: str
        default: version
      match:
        description:
          - More values that the JSON body must have, by JMESPath expression.
          - A plain path such as C(build.commit) needs no library; other expressions need the library C(jmespath).
        type: dict
      successes:
        description: How many answers in a row must be right.
        type: int
        default: 3
      interval:
        description: Seconds between two questions.
        type: float
        default: 0.5
      timeout:
        description: Longest time for one answer, in seconds.
        type: float
        default: 5.0
      wait_timeout:
        description:
          - Seconds after the rollout is ready until wrong answers are a failure.
          - When the URL could not be asked at all (the name does not resolve, the network is silent, the certificate is
            not trusted) the verdict is V(inconclusive) instead.
        type: float
        default: 60.0
      headers:
        description: Request headers. Never shown.
        type: dict
      ca_cert:
        description: Path of a file with certificate authorities to trust as well.
        type: path
  stable_for:
    description:
      - Length in seconds of the window in which nothing may crash, restart or become unready. V(0) means none.
      - Longer than the time in which a broken release crashes after its start. The default covers failed imports,
        missing settings and refused connections; a slow start needs more.
    type: float
    default: 10.0
  wait_timeout:
    description: Seconds after which the verdict is V(timeout), window included. Must be longer than O(stable_for).
    type: float
    default: 300.0
  max_restarts:
    description:
      - How many restarts a container of the current template may need to come up. One that ended and would need more is
        judged to be in a crash loop, and the verdict is V(fail).
      - Restarts that were more than ten minutes past when the gate began do not count.
    type: int
    default: 2
  allow_paused:
    description: Whether a paused Deployment is judged like any other, instead of being a failure.
    type: bool
    default: false
  allow_zero_replicas:
    description: Whether a Deployment that is scaled to zero may pass, instead of being a failure.
    type: bool
    default: false
  fail_on:
    description:
      - Verdicts that fail the task. With an empty list it never fails because of a verdict, and RV(verdict) tells what
        to do next.
    type: list
    elements: str
    choices: [fail, inconclusive, timeout]
    default: [fail, inconclusive, timeout]
  log_lines:
    description: How many lines of a container's log the diagnosis shows, at most 250. Likely secrets are masked.
    type: int
    default: 20
seealso:
  - module: kubernetes.core.k8s_info
notes:
  - Verdicts are V(pass), V(fail) for a release that was seen to be broken, V(timeout) for one that was still on its way
    when O(wait_timeout) ended and may yet succeed, and V(inconclusive) when the evidence could not be had.
"""

EXAMPLES = r"""
- name: Wait until the Deployment is live and stable
  slipway.gitops.health_gate:
    namespace: sample
    deployments: [sample]

- name: Verify that version 2 is what is live and what answers
  slipway.gitops.health_gate:
    namespace: sample
    deployments: [sample]
    images: ["registry.slipway.test/sample:2"]
    http:
      - url: http://127.0.0.1:30080/version
        version: "2"
    stable_for: 15
    wait_timeout: 120

- name: Judge everything that an Argo CD Application deployed, and go on with the verdict
  slipway.gitops.health_gate:
    application:
      name: sample
    fail_on: []
  register: gate

- name: Ask a URL alone, for one minute
  slipway.gitops.health_gate:
    http:
      - url: http://127.0.0.1:30080/healthz
        successes: 10
    stable_for: 5
    wait_timeout: 60
"""

RETURN = r"""
verdict:
  description: V(pass), V(fail), V(inconclusive) or V(timeout).
  returned: when the release was judged, also on failure
  type: str
  sample: fail
reason:
  description: One word for programs; Kubernetes' own reason where there is one.
  returned: when the release was judged, also on failure
  type: str
  sample: CrashLoopBackOff
seconds:
  description:
    - How long the gate took in all (C(total)), until the rollout was ready (C(rollout)), for the undisturbed window
      (C(stability)), and from the ready rollout to enough right answers (C(http)).
  returned: when the release was judged, also on failure
  type: dict
  sample: {total: 13.1, rollout: 3.0, stability: 10.1, http: 1.0}
stable_for:
  description: Window that was asked for, in seconds.
  returned: when the release was judged, also on failure
  type: float
  sample: 10.0
stable_window:
  description: Window that was required; longer than RV(stable_for) when a container had crashed before.
  returned: when the release was judged, also on failure
  type: float
  sample: 10.0
deployments:
  description: The judged Deployments as last seen.
  returned: when the release was judged, also on failure
  type: list
  elements: dict
  sample:
    - namespace: sample
      name: sample
      template_hash: 7c9f8d6b54
      images: ["registry.slipway.test/sample:2"]
      desired: 2
      ready: 2
      old_ready: 0
      restarts: 0
http:
  description: The asked URLs.
  returned: when the release was judged, also on failure
  type: list
  elements: dict
  sample:
    - url: http://127.0.0.1:30080/version
      in_a_row: 12
      wanted: 3
      asked: 12
      last_fault: ""
      ok: true
checks:
  description: How many Deployments and URLs were judged.
  returned: when the release was judged, also on failure
  type: dict
  sample: {deployments: 1, http: 1}
problems:
  description: Everything that stood in the way, worst first, at most ten.
  returned: when the release was judged, also on failure
  type: list
  elements: dict
  sample:
    - object: Pod sample/sample-7c9f8d6b54-x2x9p
      reason: CrashLoopBackOff
      message: container app ended with exit code 1 after 2 restarts
diagnosis:
  description:
    - Why the release did not pass; empty for V(pass). Object, reason, message, hint, container, exit code, restarts,
      the telling events since the gate began and the last log lines of the container, all bounded and masked.
  returned: when the release was judged, also on failure
  type: dict
  sample:
    object: {kind: Pod, namespace: sample, name: sample-7c9f8d6b54-x2x9p}
    reason: CrashLoopBackOff
    message: container app ended with exit code 1 after 2 restarts
    hint: "The container ends by itself after it was started: read its last log lines."
    container: app
    exit_code: 1
    restarts: 2
    events:
      - object: Pod/sample-7c9f8d6b54-x2x9p
        reason: BackOff
        message: Back-off restarting failed container app
        count: 3
        last_seen: "2026-01-01T12:00:00Z"
    log:
      container: app
      previous: true
      lines: ["cannot reach the database"]
msg:
  description: The verdict in one sentence.
  returned: always
  type: str
  sample: Verified Deployment sample/sample in 13.1 s
error_class:
  description: V(unhealthy) for a verdict, V(permanent), V(transient) or V(fenced) when there is none.
  returned: failure
  type: str
  sample: unhealthy
error:
  description: The failure in parts; C(code) is for programs.
  returned: failure
  type: dict
  sample:
    code: unhealthy
    resource: Deployment sample/sample
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.health_gate import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
