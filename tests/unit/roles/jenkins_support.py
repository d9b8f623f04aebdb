# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of role jenkins share: its files, the keys of the real chart, and what a template of it makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import yaml

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles/jenkins"
KEYS = yaml.safe_load((ROOT / "tests/unit/fixtures/jenkins/chart-values.yaml").read_text(encoding="utf-8"))


def rendered(template: str, **options: Any) -> Any:
    """Return the data that a template makes of the role's defaults and these options."""
    environment = jinja2.Environment(  # noqa: S701  (YAML, not HTML)
        loader=jinja2.FileSystemLoader(ROLE / "templates"), trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(to_json=json.dumps, bool=bool)
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    return yaml.safe_load(environment.get_template(template).render({**defaults, **options}))
