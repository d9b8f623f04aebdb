# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input of health_gate: refused before anything is asked, naming the option."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry import health_gate
from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput
from ansible_collections.slipway.gitops.plugins.module_utils._gate.request import parse

URL = {"url": "http://127.0.0.1:1/"}
SHOP = {"namespace": "shop", "deployments": ["web"]}
DIGEST = "sha256:" + "a" * 64


def validated(arguments: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return parameters and errors as Ansible would hand them to the module."""
    entry = health_gate.ENTRY
    checked = ArgumentSpecValidator(entry.argument_spec, **entry.constraints).validate(arguments)
    return checked.validated_parameters, checked.error_messages


@pytest.mark.parametrize(
    "arguments, option",
    [
        pytest.param({}, "deployments", id="no check"),
        pytest.param({"stable_for": 30}, "deployments", id="a window over nothing"),
        pytest.param({"deployments": ["web"]}, "namespace", id="no namespace"),
        pytest.param({"deployments": ["web"], "namespace": ""}, "namespace", id="empty namespace"),
        pytest.param({"deployments": ["web"], "namespace": "../kube-system"}, "namespace", id="namespace is a path"),
        pytest.param({"deployments": ["web"], "namespace": "a\nb"}, "namespace", id="namespace with a line"),
        pytest.param({"namespace": "shop", "http": [URL]}, "namespace", id="namespace of nothing"),
        pytest.param({"namespace": "shop", "deployments": []}, "deployments", id="empty list"),
        pytest.param({"namespace": "shop", "deployments": [""]}, "deployments", id="empty name"),
        pytest.param({"namespace": "shop", "deployments": ["web?x"]}, "deployments", id="name with a query"),
        pytest.param({"namespace": "shop", "deployments": ["x" * 300]}, "deployments", id="long name"),
        pytest.param({"namespace": "shop", "label_selectors": []}, "label_selectors", id="no selector"),
        pytest.param({"namespace": "shop", "label_selectors": [" "]}, "label_selectors", id="selector of everything"),
        pytest.param({"application": {"name": "Shop"}}, "application.name", id="application name"),
        pytest.param({"application": {"name": "shop", "namespace": ""}}, "application.namespace", id="its namespace"),
        pytest.param(dict(SHOP, images=["web:"]), "images", id="image without a tag"),
        pytest.param(dict(SHOP, images=["web@sha256:12"]), "images", id="short digest"),
        pytest.param(dict(SHOP, images=[""]), "images", id="empty image"),
        pytest.param({"images": ["web:1"], "http": [URL]}, "images", id="images of nothing"),
        pytest.param(dict(SHOP, stable_for=-1), "stable_for", id="negative window"),
        pytest.param(dict(SHOP, stable_for="nan"), "stable_for", id="window is not a number"),
        pytest.param(dict(SHOP, stable_for="inf"), "stable_for", id="endless window"),
        pytest.param(dict(SHOP, wait_timeout=0), "wait_timeout", id="no time"),
        pytest.param(dict(SHOP, wait_timeout=-5), "wait_timeout", id="negative time"),
        pytest.param(dict(SHOP, wait_timeout="nan"), "wait_timeout", id="time is not a number"),
        pytest.param(dict(SHOP, wait_timeout=10, stable_for=10), "wait_timeout", id="shorter than the window"),
        pytest.param(dict(SHOP, max_restarts=-1), "max_restarts", id="negative restarts"),
        pytest.param(dict(SHOP, log_lines=100000), "log_lines", id="too many lines"),
        pytest.param({"http": [{"url": "file:///etc/passwd"}]}, "http.url", id="file"),
        pytest.param({"http": [{"url": "http://someone@c/"}]}, "http.url", id="user information"),
        pytest.param({"http": [{"url": "http://169.254.169.254/"}]}, "http.url", id="metadata address"),
        pytest.param({"http": [dict(URL, status=[])]}, "http.status", id="no status"),
        pytest.param({"http": [dict(URL, status=[99])]}, "http.status", id="no such status"),
        pytest.param({"http": [dict(URL, successes=0)]}, "http.successes", id="zero successes"),
        pytest.param(
            {"http": [dict(URL, successes=999, interval=1)]}, "http.successes", id="more than there is time for"
        ),
        pytest.param({"http": [dict(URL, interval=0)]}, "http.interval", id="no pause"),
        pytest.param({"http": [dict(URL, interval="nan")]}, "http.interval", id="pause is not a number"),
        pytest.param({"http": [dict(URL, timeout=0)]}, "http.timeout", id="no time for an answer"),
        pytest.param({"http": [dict(URL, wait_timeout=0)]}, "http.wait_timeout", id="no time for answers"),
        pytest.param({"http": [dict(URL, version="")]}, "http.version", id="empty version"),
        pytest.param({"http": [dict(URL, version="2", version_path="a[")]}, "http.version_path", id="bad path"),
        pytest.param({"http": [dict(URL, match={"a[": "1"})]}, "http.match", id="bad expression"),
        pytest.param({"http": [dict(URL, match={"a": ["1"]})]}, "http.match", id="a list to match"),
        pytest.param({"http": [dict(URL, headers={"X": "a\nb"})]}, "http.headers", id="forged header"),
    ],
)
def test_bad_input_is_refused_by_the_use_case(arguments: dict[str, Any], option: str) -> None:
    parameters, errors = validated(arguments)
    assert errors == []
    with pytest.raises(InvalidInput) as refused:
        health_gate.run(parameters, Context(env={"KUBECONFIG": "/nonexistent"}))
    assert refused.value.option == option


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"http": [dict(URL, status=["2xx"])]}, "2xx"),
        ({"http": [{}]}, "url"),
        (dict(SHOP, fail_on=["pass"]), "fail_on"),
        (dict(SHOP, fail_on=["maybe"]), "fail_on"),
        (dict(SHOP, stable_for="long"), "stable_for"),
        (dict(SHOP, label_selectors=["a=b"]), "mutually exclusive"),
        (dict(SHOP, application={"name": "a"}), "mutually exclusive"),
        (dict(SHOP, application={}), "name"),
        (dict(SHOP, interval=1), "interval"),
    ],
)
def test_bad_input_is_refused_by_the_argument_specification(arguments: dict[str, Any], text: str) -> None:
    _parameters, errors = validated(arguments)
    assert text in " ".join(errors)


def test_wrong_kubeconfig_is_named() -> None:
    parameters, _errors = validated(dict(SHOP, kubeconfig="/nonexistent/config"))
    with pytest.raises(InvalidInput) as refused:
        health_gate.run(parameters, Context())
    assert refused.value.option == "kubeconfig"


def test_whole_request() -> None:
    http = dict(URL, version="2", match={"ready": True, "count": 3}, headers={"X-A": "b"})
    parameters, _errors = validated(dict(SHOP, images=["web:2@" + DIGEST], http=[http], label_selectors=None))
    request = parse(parameters)
    assert request.names == ("web",)
    assert request.wanted.images[0].digest == DIGEST
    assert request.http[0].match == {"version": "2", "ready": "true", "count": "3"}
    assert request.policy.stable_for_s == 10.0
    assert request.fail_on == {"fail", "inconclusive", "timeout"}
