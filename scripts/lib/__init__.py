# SPDX-License-Identifier: GPL-3.0-or-later
"""What scripts/demo, scripts/test and scripts/bench share: standard library only.

``env`` is the face of it: one call prepares pinned tools and Ansible's settings.
"""
