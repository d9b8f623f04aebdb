# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the Deployments to judge and what to watch for them (private to the collection)."""

from __future__ import annotations

from typing import Any, Mapping

from .._errors import InvalidInput, NotFound
from .._kube.paths import APPLICATIONS, DEPLOYMENTS, PODS, REPLICASETS, object_path
from .._kube.stream import Stream
from .evidence import KubeReader
from .pods import Problem
from .request import Request
from .rollout import Object, selector_text

Target = tuple[str, str]
_IN_CLUSTER = ("https://kubernetes.default.svc", "in-cluster")


class NothingToJudge(Exception):
    """There is no Deployment, or one of the named ones is missing: ``problem`` says which."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def find_deployments(request: Request, kube: KubeReader) -> dict[Target, Object]:
    """Return the wanted Deployments by (namespace, name). Raises NothingToJudge, NotFound for an Application."""
    if request.selector:
        listed = kube.list(object_path(DEPLOYMENTS, request.namespace), request.selector).get("items") or []
        found = {(request.namespace, str(item["metadata"]["name"])): item for item in listed}
        if not found:
            text = "no Deployment in namespace %s matches %s" % (request.namespace, request.selector)
            raise NothingToJudge(Problem("Deployment", request.namespace, "*", "NoDeployments", text))
        return found
    wanted = [(request.namespace, name) for name in request.names]
    if request.application:
        wanted = managed_deployments(kube.get(object_path(APPLICATIONS, *request.application)))
    return {target: _get(kube, target) for target in wanted}


def _get(kube: KubeReader, target: Target) -> Object:
    try:
        return kube.get(object_path(DEPLOYMENTS, *target))
    except NotFound as error:
        raise NothingToJudge(
            Problem("Deployment", target[0], target[1], "Missing", "the Deployment does not exist")
        ) from error


def managed_deployments(application: Mapping[str, Any]) -> list[Target]:
    """Return the Deployments that an Argo CD Application manages, from its status.

    Raises NothingToJudge when it manages none, and InvalidInput when it deploys to another
    cluster than the one Argo CD runs in, which is the one that would be looked at.
    """
    name, namespace = application["metadata"]["name"], application["metadata"]["namespace"]
    destination = application.get("spec", {}).get("destination") or {}
    cluster = destination.get("server") or destination.get("name") or ""
    if cluster and cluster not in _IN_CLUSTER:
        raise InvalidInput(
            "application",
            "%s/%s deploys to the cluster %s" % (namespace, name, cluster),
            "Name its Deployments and the kubeconfig of that cluster.",
        )
    targets = [
        (item.get("namespace") or destination.get("namespace") or "", item["name"])
        for item in application.get("status", {}).get("resources") or []
        if (item.get("group"), item.get("kind")) == ("apps", "Deployment")
    ]
    if not targets:
        text = "the Application manages no Deployment (yet)"
        raise NothingToJudge(Problem("Application", namespace, name, "NoDeployments", text))
    return targets


def streams_for(found: Mapping[Target, Object]) -> list[Stream]:
    """Return what to watch: of one Deployment only what is its own, of several all of their kind."""
    streams = []
    for namespace in sorted({namespace for namespace, _name in found}):
        here = [(name, item) for (where, name), item in found.items() if where == namespace]
        selector, field = "", ""
        if len(here) == 1:
            selector, field = selector_text(here[0][1]), "metadata.name=" + here[0][0]
        streams.append(Stream("deployments/" + namespace, object_path(DEPLOYMENTS, namespace), "", field))
        streams.append(Stream("replicasets/" + namespace, object_path(REPLICASETS, namespace), selector))
        streams.append(Stream("pods/" + namespace, object_path(PODS, namespace), selector))
    return streams
