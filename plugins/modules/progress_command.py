#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: progress_command
short_description: Run one long command and show how it is getting on
version_added: "1.0.0"
description:
  - Runs a program with a list of arguments, never through a shell, and shows its last line of output and the time so
    far at least every eight seconds.
  - The lines appear while the task runs when the task runs on the controller. Elsewhere the module works the same
    but is silent until it ends.
  - When the time is over the program is ended with everything it started, first politely.
  - The program has no terminal and no standard input. Set its environment with the keyword C(environment) of the task.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
attributes:
  check_mode:
    support: partial
    details:
      - The command is not run. O(creates) and O(removes) are honoured; without them it is reported as skipped.
  diff_mode:
    support: none
    details:
      - What a command changes is not known.
  idempotent:
    support: partial
    details:
      - Only with O(creates) or O(removes).
options:
  argv:
    description: The program and its arguments.
    type: list
    elements: str
    required: true
  title:
    description: What to call it in progress lines and errors. Without it, the name of the program.
    type: str
  chdir:
    description: Folder to run it in.
    type: path
  creates:
    description: A path or pattern. If something matches, the command is not run.
    type: path
  removes:
    description: A path or pattern. If nothing matches, the command is not run.
    type: path
  timeout:
    description: Longest time, in seconds.
    type: int
    default: 3600
  log_path:
    description: File for the whole output, of both streams, replaced by each run and readable by its owner only.
    type: path
  success_codes:
    description: Return codes that are no failure.
    type: list
    elements: int
    default: [0]
seealso:
  - module: ansible.builtin.command
"""

EXAMPLES = r"""
- name: Make a root file system
  slipway.gitops.progress_command:
    argv: [mmdebstrap, --variant=minbase, stable, /var/tmp/root.tar]
    title: Debian root
    creates: /var/tmp/root.tar
    timeout: 600
    log_path: /var/tmp/root.log

- name: Run the site's own check in its folder
  slipway.gitops.progress_command:
    argv: [make, check]
    chdir: /srv/site
  environment:
    LC_ALL: C

- name: Accept that there was nothing to do
  slipway.gitops.progress_command:
    argv: [grep, -r, "example.com", /etc/nginx]
    success_codes: [0, 1]
"""

RETURN = r"""
cmd:
  description: The program and its arguments.
  returned: always
  type: list
  elements: str
  sample: [make, check]
rc:
  description: Return code; negative when a signal ended the program, V(0) when it was not run.
  returned: when the program could be started or was not run
  type: int
  sample: 0
msg:
  description: Why it was not run, or why it failed.
  returned: when not run, and on failure
  type: str
  sample: Did not run command since '/var/tmp/root.tar' exists
stdout:
  description: Standard output, its last MiB.
  returned: when run
  type: str
  sample: all checks passed
stderr:
  description: Standard error, its last MiB.
  returned: when run
  type: str
  sample: ""
stdout_lines:
  description: RV(stdout) as lines.
  returned: when run
  type: list
  elements: str
  sample: [all checks passed]
stderr_lines:
  description: RV(stderr) as lines.
  returned: when run
  type: list
  elements: str
  sample: []
seconds:
  description: How long it took.
  returned: when run
  type: float
  sample: 21.3
error:
  description: The failure in parts, for example C(error.code) V(command_failed) or V(command_timeout).
  returned: failure
  type: dict
  sample:
    code: command_failed
    resource: Debian root
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.progress_command import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
