#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: local_world
short_description: Keep the processes of a local cluster and what they need of this machine
version_added: 1.0.0
description:
  - Brings up a folder with its files, a bridge with its routes and packet filter guard, a control plane laid out by
    C(kwokctl), and programs kept by C(supervisord); starts them in stages and waits until each is ready.
  - Heals what a crash, a kill or a power cut has left (stale process ids and sockets, orphaned processes, a half
    written layout), and removes everything without a trace.
  - Processes are known by a mark in their environment and by their start time, never by their name.
  - It is the work horse of the role P(slipway.gitops.cluster_bootstrap#role); other roles use it to add a program.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
attributes:
  check_mode:
    support: full
    details: All checks of the machine are made, so a run in check mode is also the preflight.
  diff_mode:
    support: full
    details: Lists the changes by name.
  idempotent:
    support: full
options:
  path:
    description:
      - Folder of the world. It is made if needed, and removed with everything in it by O(state=absent).
      - A folder that holds something else is refused.
    type: path
    required: true
  state:
    description:
      - V(present) makes and starts the parts that are given; parts that are not given stay as they are.
      - V(absent) ends all processes of the world and removes its containers, mounts, links, packet filter chains,
        control groups and files, and restores the kernel settings that were found.
    type: str
    choices: [present, absent]
    default: present
  supervisord:
    description: Program C(supervisord). Needed for O(programs).
    type: path
  runtime_path:
    description: Folder for sockets and mounts that need not survive a restart of the machine. Removed with the world.
    type: path
  container_socket:
    description: Socket of the world's containerd, by which its container shims are known.
    type: path
  files:
    description: Files to write. A file appears at once or not at all.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      content:
        description: Its content. One of O(files[].content) and O(files[].secret_content) is needed.
        type: str
      secret_content:
        description: Its content, never shown.
        type: str
      mode:
        description: Its permission bits, octal.
        type: str
        default: "0644"
  network:
    description: The part of the host's network that belongs to the world. Needs root.
    type: dict
    suboptions:
      bridge:
        description: Name of the bridge. A link of that name that is not the world's own is refused.
        type: str
        required: true
      gateway:
        description: Address of the bridge with the prefix length of the pod network, for example V(10.244.0.1/24).
        type: str
        required: true
      service_cidr:
        description: Range of service addresses. All of it is routed to the bridge.
        type: str
        required: true
      guarded_ports:
        description: TCP ports that only this machine and its pods may reach.
        type: list
        elements: int
        default: []
      egress:
        description: Whether pods may open connections to other machines.
        type: bool
        default: false
  control_plane:
    description:
      - Have C(kwokctl) write certificates, configuration and command lines of a control plane.
      - Done once, and again when the configuration file has changed; certificates and data are kept then.
    type: dict
    suboptions:
      kwokctl:
        description: Program C(kwokctl).
        type: path
        required: true
      workdir:
        description: Its working folder.
        type: path
        required: true
      name:
        description: Name of the cluster.
        type: str
        required: true
      config:
        description: Its configuration file.
        type: path
        required: true
  programs:
    description: Programs to keep. One whose command, environment or watched files changed is restarted.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the program, also of its log file C(logs/NAME.log).
        type: str
        required: true
      command:
        description: Program and arguments.
        type: list
        elements: str
        required: true
      directory:
        description: Working folder. The world's folder by default.
        type: path
      environment:
        description: Environment variables.
        type: dict
        default: {}
      stage:
        description: A program starts when all programs of lower stages are ready.
        type: int
        default: 0
      watch:
        description: Files whose change restarts the program.
        type: list
        elements: path
        default: []
      ready:
        description: When the program counts as ready. All given conditions must hold.
        type: dict
        default: {}
        suboptions:
          socket:
            description: A Unix socket that accepts.
            type: path
          url:
            description: A URL that answers with status 200.
            type: str
          ca_cert:
            description: Certificate authority for an V(https) URL.
            type: path
          command:
            description: A command that succeeds.
            type: list
            elements: str
            default: []
  ended_programs:
    description: Names of programs that are ended and no longer kept. Their logs stay.
    type: list
    elements: str
    default: []
  free_ports:
    description: Addresses, as V(ADDRESS:PORT), that must be free unless the world already runs.
    type: list
    elements: str
    default: []
  ready_timeout:
    description: How long to wait for the programs of one stage, in seconds.
    type: int
    default: 120
seealso:
  - module: slipway.gitops.cached_tool
"""

EXAMPLES = r"""
- name: Keep a program of our own in the local world
  slipway.gitops.local_world:
    path: "{{ world }}"
    supervisord: "{{ supervisord }}"
    programs:
      - name: clock
        command: [sleep, infinity]

- name: See what a bring-up would find in the way
  slipway.gitops.local_world:
    path: "{{ world }}"
    free_ports:
      - 127.0.0.1:6443
  check_mode: true

- name: Remove the world without a trace
  slipway.gitops.local_world:
    path: "{{ world }}"
    state: absent
"""

RETURN = r"""
changes:
  description: What was changed, in order; what would be changed in check mode.
  returned: success
  type: list
  elements: str
  sample: [bridge slipway0, start supervisor, start etcd]
supervisor_pid:
  description: Process id of the supervisor.
  returned: when O(supervisord) is given
  type: int
  sample: 4711
error_class:
  description: Class of the failure.
  returned: failure
  type: str
  sample: permanent
error:
  description: The failure as data, with C(code), and C(resource) or C(option).
  returned: failure
  type: dict
  sample: {code: preflight, resource: this machine}
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.local_world import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
