# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for kind, minikube, docker and kubectl: run under one of these names it behaves like it.

What there is lies in ``state.json`` beside it; every command line is appended to ``calls``. Words
and exit statuses are those of kind 0.30, minikube 1.37 and Docker 28.
"""

import json
import os
import sys
import uuid
from pathlib import Path

HERE = Path(sys.argv[0]).resolve().parent
NAME, WORDS = Path(sys.argv[0]).name, sys.argv[1:]
STATE = json.loads((HERE / "state.json").read_text())
KUBECONFIG = "apiVersion: v1\nkind: Config\nclusters: [{name: x, cluster: {server: https://127.0.0.1:6443}}] # of %s\n"


def option(name):
    """Return the value of --name=value, or nothing."""
    return next((word.split("=", 1)[1] for word in WORDS if word.startswith("--%s=" % name)), "")


def say(text, file=sys.stdout):
    """Say one line."""
    file.write(str(text) + "\n")


def save():
    """Keep what there is."""
    (HERE / "state.json").write_text(json.dumps(STATE))


def make(nodes, version):
    """Make the cluster; with the wish to fail, leave half of one."""
    STATE["cluster"] = {"nodes": nodes, "version": version, "uid": str(uuid.uuid4()), "running": True, "addons": []}
    failing = STATE.pop("fail", "")
    STATE["cluster"]["running"] = not failing
    save()
    if failing:
        sys.exit("ERROR: failed to create cluster: " + failing)


def kind():
    cluster = STATE.get("cluster")
    what = WORDS[:2]
    if what == ["get", "clusters"]:
        say(STATE["name"] if cluster else "No kind clusters found.", file=sys.stdout if cluster else sys.stderr)
    elif what == ["create", "cluster"]:
        if cluster:
            sys.exit('ERROR: failed to create cluster: node(s) already exist for a cluster with the name "x"')
        text = Path(option("config")).read_text()
        make(text.count("role:"), text.split("kindest/node:v")[1].split()[0] if "kindest/node:v" in text else "1.34.0")
        Path(option("kubeconfig")).write_text(KUBECONFIG % STATE["cluster"]["uid"])
    elif what == ["delete", "cluster"]:
        STATE["cluster"] = None
        save()
    elif what == ["get", "kubeconfig"]:
        say(KUBECONFIG % cluster["uid"])
    elif what[0] == "version":
        say("kind v0.30.0 go1.24.6 linux/amd64")
    else:
        sys.exit("ERROR: unknown command")


def docker():
    if not STATE["daemon"]:
        sys.exit("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
    if WORDS[0] == "info":
        say("28.3.3")
    elif WORDS[0] == "ps" and not STATE["cluster"]["running"]:
        say(STATE["name"] + "-control-plane")
    elif WORDS[0] == "start":
        STATE["cluster"]["running"] = True
        save()


def minikube():
    cluster = STATE.get("cluster")
    if WORDS[:2] == ["profile", "list"]:
        status = "OK" if cluster and cluster["running"] else "Stopped"
        say(json.dumps({"invalid": [], "valid": [{"Name": STATE["name"], "Status": status}] if cluster else []}))
    elif WORDS[0] == "start":
        if cluster:
            cluster["running"] = True
            save()
        else:
            make(int(option("nodes")), option("kubernetes-version").lstrip("v") or "1.34.0")
        Path(os.environ["KUBECONFIG"]).write_text(KUBECONFIG % STATE["cluster"]["uid"])
    elif WORDS[0] == "update-context":
        Path(os.environ["KUBECONFIG"]).write_text(KUBECONFIG % cluster["uid"])
    elif WORDS[0] == "delete":
        STATE["cluster"] = None
        save()
    elif WORDS[:2] == ["addons", "list"]:
        say(json.dumps({"ingress": {"Status": "enabled" if "ingress" in cluster["addons"] else "disabled"}}))
    elif WORDS[:2] == ["addons", "enable"]:
        cluster["addons"].append(WORDS[2])
        save()
    elif WORDS[0] == "version":
        say("v1.37.0")
    else:
        sys.exit("Error: unknown command")


def kubectl():
    cluster = STATE.get("cluster")
    words = [word for word in WORDS if not word.startswith(("--kubeconfig", "--context", "--request-timeout"))]
    if words == ["version", "--client"]:
        say("Client Version: v1.36.3")
        return
    if not (cluster and cluster["running"] and cluster["uid"] in Path(option("kubeconfig")).read_text()):
        sys.exit("Unable to connect to the server: dial tcp 127.0.0.1:6443: connect: connection refused")
    versions = " ".join(["v" + cluster["version"]] * cluster["nodes"])
    answers = {("get", "nodes"): versions, ("get", "namespace/kube-system"): cluster["uid"]}
    say(answers.get(tuple(words[:2]), "condition met"))


with (HERE / "calls").open("a") as stream:
    shown = " ".join([NAME, *WORDS])
    stream.write(shown + (" KUBECONFIG=" + os.environ["KUBECONFIG"] if "KUBECONFIG" in os.environ else "") + "\n")
{"kind": kind, "docker": docker, "minikube": minikube, "kubectl": kubectl}[NAME]()
