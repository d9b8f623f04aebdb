# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of all unit tests."""

from __future__ import annotations

from hypothesis import settings

from ansible_collections.slipway.gitops.tests.size import FULL

# The gate tries the same examples each time, so that its answer belongs to the change at hand;
# at release size new ones are searched for.
settings.register_profile("gate", derandomize=True, deadline=None)
settings.register_profile("full", deadline=None)
settings.load_profile("full" if FULL else "gate")
