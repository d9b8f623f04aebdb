# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the gate as checked values (private to the collection)."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from .._errors import InvalidInput
from .expression import check_expression
from .http_check import HttpCheck
from .image import Image, parse_image
from .rollout import Wanted
from .url import check_url, clean_headers
from .verdict import Policy

_NAME = re.compile(r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
_LABEL = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")


@dataclass(frozen=True)
class Request:
    """What one gate has to find out. Exactly one of names, selector and application is set, or none."""

    policy: Policy
    wanted: Wanted
    namespace: str = ""
    names: tuple[str, ...] = ()
    selector: str = ""
    application: Optional[tuple[str, str]] = None
    http: tuple[HttpCheck, ...] = ()
    wait_timeout_s: float = 300.0
    log_lines: int = 20
    fail_on: frozenset[str] = frozenset()

    @property
    def has_rollout(self) -> bool:
        """Whether Deployments are to be judged, and not only URLs."""
        return bool(self.names or self.selector or self.application)


def parse(params: Mapping[str, Any]) -> Request:
    """Check all options, before anything is asked of anybody. Raises InvalidInput."""
    stable_for = _number("stable_for", params["stable_for"], 0, 3600)
    request = Request(
        policy=Policy(stable_for, _whole("max_restarts", params["max_restarts"], 0, 100)),
        wanted=Wanted(_images(params), params["allow_paused"], params["allow_zero_replicas"]),
        namespace=_namespace(params),
        names=_names(params),
        selector=_selector(params),
        application=_application(params),
        http=tuple(_http(item) for item in params.get("http") or []),
        wait_timeout_s=_number("wait_timeout", params["wait_timeout"], 0.1, 86400),
        log_lines=_whole("log_lines", params["log_lines"], 0, 250),
        fail_on=frozenset(params["fail_on"]),
    )
    _check_whole(request, params)
    return request


def _check_whole(request: Request, params: Mapping[str, Any]) -> None:
    """Refuse combinations that could pass without evidence, or never."""
    if not request.has_rollout and not request.http:
        cause = "no check is given: a gate without one would pass whatever is live"
        raise InvalidInput("deployments", cause, "Set deployments, label_selectors, application or http.", "no_check")
    if request.wanted.images and not request.has_rollout:
        raise InvalidInput("images", "needs deployments, label_selectors or application to look at")
    if (request.names or request.selector) and not request.namespace:
        raise InvalidInput("namespace", "is required with deployments and label_selectors")
    if params.get("namespace") and not (request.names or request.selector):
        raise InvalidInput("namespace", "has no meaning without deployments or label_selectors")
    if request.wait_timeout_s <= request.policy.stable_for_s:
        cause = "%g s end before the window of stable_for (%g s) can" % (
            request.wait_timeout_s,
            request.policy.stable_for_s,
        )
        raise InvalidInput("wait_timeout", cause)
    for check in request.http:
        shortest = (check.successes - 1) * check.interval_s
        if shortest >= min(check.wait_s, request.wait_timeout_s):
            raise InvalidInput(
                "http.successes",
                "%d answers %g s apart take longer than the wait_timeout" % (check.successes, check.interval_s),
            )


def _namespace(params: Mapping[str, Any]) -> str:
    namespace = params.get("namespace")
    if namespace is None:
        return ""
    if not _LABEL.match(namespace):
        raise InvalidInput("namespace", "'%s' is not the name of a namespace" % namespace[:80])
    return str(namespace)


def _names(params: Mapping[str, Any]) -> tuple[str, ...]:
    names = params.get("deployments")
    if names is not None and not names:
        raise InvalidInput("deployments", "the list is empty: nothing would be verified")
    for name in names or []:
        if not _NAME.match(name):
            raise InvalidInput("deployments", "'%s' is not the name of a Deployment" % name[:80])
    return tuple(dict.fromkeys(names or []))


def _selector(params: Mapping[str, Any]) -> str:
    selectors = params.get("label_selectors")
    if selectors is None:
        return ""
    if not selectors or any(not item.strip() for item in selectors):
        raise InvalidInput("label_selectors", "an empty selector would match everything")
    return ",".join(item.strip() for item in selectors)


def _application(params: Mapping[str, Any]) -> Optional[tuple[str, str]]:
    application = params.get("application")
    if application is None:
        return None
    for key in ("namespace", "name"):
        if not _NAME.match(application[key]):
            raise InvalidInput("application." + key, "'%s' is not a Kubernetes name" % application[key][:80])
    return application["namespace"], application["name"]


def _images(params: Mapping[str, Any]) -> tuple[Image, ...]:
    images = []
    for reference in params.get("images") or []:
        try:
            images.append(parse_image(reference))
        except ValueError as error:
            raise InvalidInput("images", str(error)) from error
    return tuple(images)


def _http(item: Mapping[str, Any]) -> HttpCheck:
    """Check one entry of ``http``; ``version`` is one more expected value."""
    check_url("http.url", item["url"])
    match = {str(key): _scalar("http.match", key, value) for key, value in (item.get("match") or {}).items()}
    if item.get("version") is not None:
        if not item["version"]:
            raise InvalidInput("http.version", "is empty: every answer would match")
        match[item["version_path"]] = item["version"]
    for expression in match:
        check_expression("http.match" if expression != item["version_path"] else "http.version_path", expression)
    status = item["status"]
    if not status or any(not 100 <= code <= 599 for code in status):
        raise InvalidInput("http.status", "%s are not HTTP status codes" % status)
    return HttpCheck(
        url=item["url"],
        status=tuple(status),
        match=match,
        successes=_whole("http.successes", item["successes"], 1, 1000),
        interval_s=_number("http.interval", item["interval"], 0.05, 60),
        timeout_s=_number("http.timeout", item["timeout"], 0.1, 30),
        wait_s=_number("http.wait_timeout", item["wait_timeout"], 0.1, 86400),
        headers=clean_headers(item.get("headers") or {}),
        ca_cert=item.get("ca_cert") or "",
    )


def _scalar(option: str, key: str, value: Any) -> str:
    """Return an expected value as JSON spells it, a string bare."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise InvalidInput(option, "the value of '%s' is not text, a number or a boolean" % key)


def _number(option: str, value: Any, least: float, most: float) -> float:
    number = float(value)
    if not math.isfinite(number) or not least <= number <= most:
        raise InvalidInput(option, "%s is not between %g and %g seconds" % (value, least, most))
    return number


def _whole(option: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise InvalidInput(option, "%s is not between %d and %d" % (value, least, most))
    return value
