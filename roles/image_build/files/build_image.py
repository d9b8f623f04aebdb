# SPDX-License-Identifier: GPL-3.0-or-later
"""Build container images without a container engine and publish them in a registry.

An image is data (a recipe): a reference, layers and a configuration. A layer is either a
Debian root made by mmdebstrap from the sources of this machine's apt, or a list of files.
The cache is one OCI image layout plus a map from the inputs of a layer to its digest:
equal inputs are never built twice, and equal file layers have equal digests everywhere.
Layers are not compressed, because they only travel over loopback.

Progress goes to standard error, one line an event; the last line of standard output is a
JSON document with ``changed`` and one entry per image. Exit status 0, or 1 with the cause
as the last line of standard error. Standard library only.
"""

from __future__ import annotations

import argparse
import http.client
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any, Mapping, Sequence

from image_cache import MANIFEST_TYPE, Layout, canonical
from image_layers import build_layer, layer_key
from image_process import BuildError, run, say

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


# Settings of a recipe and their names in an image configuration.
SETTINGS = {
    "user": "User",
    "entrypoint": "Entrypoint",
    "cmd": "Cmd",
    "env": "Env",
    "workdir": "WorkingDir",
    "labels": "Labels",
}


def image_config(settings: Mapping[str, Any], diff_ids: Sequence[str]) -> dict[str, Any]:
    """Return the OCI image configuration for a recipe's settings."""
    return {
        "created": "2020-01-01T00:00:00Z",
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {SETTINGS[key]: value for key, value in settings.items()},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
    }


def read_recipes(text: str) -> list[dict[str, Any]]:
    """Return the recipes in a JSON text or, after an @, in a file; refuse all if one is wrong."""
    try:
        recipes: list[dict[str, Any]] = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except ValueError as error:
        raise BuildError("The recipes are not JSON: %s." % error) from None
    for recipe in recipes:
        split_reference(recipe["reference"])
        for name in recipe.get("config", {}):
            if name not in SETTINGS:
                raise BuildError("Unknown image setting '%s'; known: %s." % (name, ", ".join(SETTINGS)))
    return recipes


def build_image(layout: Layout, recipe: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Build one image into the layout; return its manifest's descriptor and if it is new."""
    layers, built = [], False
    for layer in recipe["layers"]:
        descriptor, is_new = build_layer(layout, layer)
        layers.append(dict(descriptor, mediaType=LAYER_TYPE))
        built = built or is_new
    # An uncompressed layer's digest is its diff ID as well.
    config = image_config(recipe.get("config", {}), [layer["digest"] for layer in layers])
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": dict(layout.add_bytes(canonical(config)), mediaType=CONFIG_TYPE),
        "layers": layers,
    }
    descriptor = layout.add_bytes(canonical(manifest))
    layout.name(recipe["reference"], descriptor)
    return descriptor, built


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository path (without the registry's host) and tag of a reference."""
    host, slash, rest = reference.partition("/")
    name = rest if slash and ("." in host or ":" in host or host == "localhost") else reference
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag or not repository:
        raise BuildError("The image reference '%s' names no tag." % reference)
    return repository, tag


def published_digest(registry: str, repository: str, tag: str) -> str | None:
    """Return the digest that the registry has for a tag, or None when it has none."""
    path = "/v2/%s/manifests/%s" % (repository, tag)
    connection = http.client.HTTPConnection(registry, timeout=10)
    try:
        connection.request("HEAD", path, headers={"Accept": MANIFEST_TYPE})
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise BuildError("The registry at %s does not answer: %s." % (registry, error)) from None
    finally:
        connection.close()
    if answer.status not in (200, 404):
        raise BuildError("The registry at %s answered %d for %s." % (registry, answer.status, path))
    return answer.headers.get("Docker-Content-Digest") if answer.status == 200 else None


def publish(layout: Layout, recipe: Mapping[str, Any], digest: str, registry: str) -> bool:
    """Push an image unless the registry has this very digest; return whether it was pushed."""
    repository, tag = split_reference(recipe["reference"])
    if published_digest(registry, repository, tag) == digest:
        return False
    say("Pushing %s" % recipe["reference"])
    target = "docker://%s/%s:%s" % (registry, repository, tag)
    source = "oci:%s:%s" % (layout.folder, recipe["reference"])
    copy = "skopeo --insecure-policy copy --quiet --preserve-digests --dest-tls-verify=false"
    run([*copy.split(), source, target])
    found = published_digest(registry, repository, tag)
    if found != digest:
        raise BuildError("%s was pushed as %s, but the registry has %s." % (target, digest, found))
    return True


def foresee(layout: Layout, recipe: Mapping[str, Any], registry: str | None) -> dict[str, Any]:
    """Say what producing an image would do, without doing any of it."""
    repository, tag = split_reference(recipe["reference"])
    missing = [one for one in recipe["layers"] if layout.recall(layer_key(one)) is None]
    absent = registry is not None and published_digest(registry, repository, tag) is None
    return {"reference": recipe["reference"], "built": bool(missing), "pushed": absent}


def produce(layout: Layout, recipe: Mapping[str, Any], registry: str | None) -> dict[str, Any]:
    """Build and publish one image."""
    started = time.monotonic()
    descriptor, built = build_image(layout, recipe)
    pushed = publish(layout, recipe, descriptor["digest"], registry) if registry else False
    return {
        "reference": recipe["reference"],
        "digest": descriptor["digest"],
        "built": built,
        "pushed": pushed,
        "seconds": round(time.monotonic() - started, 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the recipes, build, publish, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("recipes", help="the list of recipes as JSON, or @FILE with it")
    parser.add_argument("--cache", required=True, type=Path, help="folder of the cache")
    parser.add_argument("--registry", help="HOST:PORT of the registry to publish in, plain HTTP")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--build", action="store_true", help="build and publish; the default")
    mode.add_argument("--check", action="store_true", help="change nothing, say what would change")
    options = parser.parse_args(arguments)
    try:
        recipes = read_recipes(options.recipes)
        layout = Layout(options.cache)
        if options.check:
            images = [foresee(layout, one, options.registry) for one in recipes]
        else:
            with layout.opened():
                images = [produce(layout, one, options.registry) for one in recipes]
    except (BuildError, OSError) as error:
        say(str(error))
        return 1
    changed = any(image["built"] or image["pushed"] for image in images)
    sys.stdout.write(json.dumps({"changed": changed, "images": images}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
