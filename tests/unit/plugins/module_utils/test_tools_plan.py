# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure rules of getting tools."""

from __future__ import annotations

import json

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._tools.plan import (
    Platform,
    Tool,
    expand,
    go_version,
    mirrored,
    published_sha256,
    required_go,
)

A, B = "a" * 64, "b" * 64
RELEASE = {
    "assets": [
        {"name": "x-linux-arm64", "digest": "sha256:" + B},
        {"name": "x-linux-amd64", "digest": "sha256:" + A},
    ]
}


@pytest.mark.parametrize(
    "text, expected",
    [
        (A, A),
        (A.upper() + "\n", A),
        ("%s  x-linux-amd64\n" % A, A),
        ("%s *x-linux-amd64\n" % A, A),
        ("%s  release/x-linux-amd64\n" % A, A),
        ("%s  x-linux-arm64\n%s  x-linux-amd64\n" % (B, A), A),
        ("SHA256SUMS\n\n%s  x-linux-amd64.sig\n%s  x-linux-amd64\n" % (B, A), A),
        (json.dumps(RELEASE), A),
        (json.dumps(RELEASE, indent=2), A),
        ("%s  x-linux-arm64\n" % B, ""),
        ("%s\n%s\n" % (A, B), ""),
        ("", ""),
        ("<html>%s</html>" % A, ""),
        ("a" * 63, ""),
        ("a" * 65, ""),
        ("{", ""),
        ('{"assets": [{"name": "x-linux-amd64", "digest": null}]}', ""),
        ('{"assets": [{"name": "x-linux-amd64", "digest": "sha512:%s"}]}' % A, ""),
        ('{"message": "API rate limit exceeded"}', ""),
    ],
)
def test_published_sha256(text: str, expected: str) -> None:
    assert published_sha256(text, "https://h.example/dl/v1/x-linux-amd64") == expected


@pytest.mark.parametrize(
    "url, mirror, expected",
    [
        ("https://h.example/a/b", "", "https://h.example/a/b"),
        ("https://h.example/a/b", "http://m:8080", "http://m:8080/h.example/a/b"),
        ("https://h.example:444/a%2Fb", "http://m/x/", "http://m/x/h.example:444/a%2Fb"),
    ],
)
def test_mirrored(url: str, mirror: str, expected: str) -> None:
    assert mirrored(url, mirror) == expected


def test_expand_fills_what_it_knows() -> None:
    assert expand("{name}-{os}-{other}-${x}", {"name": "n", "os": "linux"}) == "n-linux-{other}-${x}"


@pytest.mark.parametrize(
    "system, machine, expected",
    [("Linux", "x86_64", "linux-amd64"), ("Linux", "aarch64", "linux-arm64"), ("Darwin", "arm64", "darwin-arm64")],
)
def test_platform(system: str, machine: str, expected: str) -> None:
    here = Platform.of(system, machine)
    assert "%s-%s" % (here.os, here.arch) == expected


@pytest.mark.parametrize(
    "output, expected",
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 linux/amd64", (1, 27, 0)),
        ("go version go1.27rc1 linux/amd64", (1, 27, 0)),
        ("command not found", (0, 0, 0)),
    ],
)
def test_go_version(output: str, expected: tuple[int, int, int]) -> None:
    assert go_version(output) == expected


@pytest.mark.parametrize(
    "text, expected",
    [("module m\n\ngo 1.26.3\n", (1, 26, 3)), ("module m\n\ngo 1.21\n", (1, 21, 0)), ("module m\n", (0, 0, 0))],
)
def test_required_go(text: str, expected: tuple[int, int, int]) -> None:
    assert required_go(text) == expected


def test_version_must_match_exactly() -> None:
    tool = Tool("t", "1.2.3", Platform("linux", "amd64"), ("t",), version_pattern=r"v([0-9.]+)")
    assert [tool.is_right(said) for said in ("t v1.2.3 go1.26", "t v1.2.30", "t v1.2", "t 1.2.3", "")] == [
        True,
        False,
        False,
        False,
        False,
    ]
