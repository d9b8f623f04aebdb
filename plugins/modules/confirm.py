#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: confirm
short_description: Ask the person at the terminal to type a word before a run goes on
version_added: "1.0.0"
description:
  - Shows a text, for example a plan, and waits until a line is entered. Only exactly O(word) confirms; the default is no.
  - A run without a person never waits. Nobody is asked when standard input of Ansible is no terminal, when Ansible runs
    in the background, in a job of AWX (variables C(awx_job_id), C(tower_job_id)), and where the environment variable
    E(CI) or E(JOB_ID) says that a build server runs the job. AWX and some build servers give a job a terminal that
    nobody looks at.
  - Declining is no failure. What follows from RV(confirmed) and RV(interactive) is up to the playbook.
  - Ctrl-C, Ctrl-D, an empty line and the end of O(timeout) decline. A word that is typed but not entered counts for
    nothing.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - Asks nothing and confirms nothing.
  diff_mode:
    support: none
    details:
      - Changes nothing.
  idempotent:
    support: full
    details:
      - Changes nothing, but asks each time.
options:
  prompt:
    description:
      - The question. A line that says what to type is added.
      - Do not put secrets here. It is shown to whoever sees the output of the run.
    type: str
    required: true
  word:
    description: What has to be typed, in exactly this spelling.
    type: str
    default: "yes"
  timeout:
    description: Seconds to wait for the answer, 1 to 86400.
    type: int
    default: 900
notes:
  - The question is asked by Ansible's main process, for one host at a time. Ask before a slot of the queue is claimed,
    so that nobody is waited for while a lease runs.
seealso:
  - module: slipway.gitops.release_plan
  - module: ansible.builtin.pause
"""

EXAMPLES = r"""
- name: Ask before something is changed
  slipway.gitops.confirm:
    prompt: Release 2 of sample goes to production.
    timeout: 300
  register: answer

- name: Ask for the name of what will be removed
  slipway.gitops.confirm:
    prompt: The namespace sample-staging is removed with everything in it.
    word: sample-staging
  register: removal

- name: Ask only when nobody has confirmed by other means
  slipway.gitops.confirm:
    prompt: Go on?
  when: confirmed_by_hash is not defined
  register: last_chance

- name: Say why it goes on or not
  ansible.builtin.debug:
    msg: "{{ last_chance.reason }}"
"""

RETURN = r"""
confirmed:
  description: Whether exactly O(word) was entered.
  returned: success
  type: bool
  sample: true
interactive:
  description: Whether a person could be asked. If not, nothing was shown and nothing waited for.
  returned: success
  type: bool
  sample: true
answer_given:
  description: Whether a line was entered at all. It is not returned, since people mistype passwords.
  returned: success
  type: bool
  sample: true
reason:
  description: Why it ended so, as a sentence.
  returned: success
  type: str
  sample: "'yes' was entered."
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.confirm import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
