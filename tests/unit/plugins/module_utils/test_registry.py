# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking registries: references in tables, then real HTTP on loopback with answers good, bad and malicious."""

from __future__ import annotations

import base64
import json
import socket
import threading
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._clock import SystemClock
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    PermanentError,
    SlipwayError,
    TransientError,
)
from ansible_collections.slipway.gitops.plugins.module_utils._http import HttpClient
from ansible_collections.slipway.gitops.plugins.module_utils._registry.challenge import challenges, chosen
from ansible_collections.slipway.gitops.plugins.module_utils._registry.model import MANIFEST_TYPES, request
from ansible_collections.slipway.gitops.plugins.module_utils._registry.service import Ports, run
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.registry_support import (
    DIGEST,
    INDEX,
    MANIFEST,
    OCI,
    FakeRegistry,
    Told,
    certificate,
    manifest,
    refusal,
)

SHA512 = "sha512:" + "0" * 128
ROBOT = {"username": "robot", "password": "a password of tests"}
BASIC = "Basic " + base64.b64encode(b"robot:a password of tests").decode()
PAGE = "/v2/team/web/manifests/"
HTML = Told(200, b"<html>Log in</html>", {"Content-Type": "text/html"})


@pytest.fixture(name="registry")
def fixture_registry() -> Iterator[FakeRegistry]:
    registry = FakeRegistry()
    yield registry
    registry.close()


@pytest.fixture(name="other")
def fixture_other() -> Iterator[FakeRegistry]:
    other = FakeRegistry()
    yield other
    other.close()


@pytest.fixture(name="pem", scope="module")
def fixture_pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("pki"))


@pytest.fixture(name="secure")
def fixture_secure(pem: Path) -> Iterator[FakeRegistry]:
    registry = FakeRegistry(pem)
    yield registry
    registry.close()


def asking(*images: str, ctx: Optional[Context] = None, **options: Any) -> list[dict[str, Any]]:
    """Ask for images and return what was found."""
    clock = SystemClock()
    web = HttpClient(clock, "test-agent", options.pop("ca_cert", ""), options.pop("validate_certs", True))
    params = {"images": list(images), "timeout": 5.0, **options}
    found: list[dict[str, Any]] = run(params, Ports(web, clock, lambda: 0.0), ctx or Context())["images"]
    return found


def web(registry: FakeRegistry, version: str = ":1") -> str:
    return registry.host + "/team/web" + version


def refused(*images: str, **options: Any) -> SlipwayError:
    with pytest.raises(SlipwayError) as caught:
        asking(*images, **options)
    return caught.value


@pytest.mark.parametrize(
    "reference, base, repository, version",
    [
        ("nginx", "https://registry-1.docker.io", "library/nginx", "latest"),
        ("nginx:1.29", "https://registry-1.docker.io", "library/nginx", "1.29"),
        ("team/web:1", "https://registry-1.docker.io", "team/web", "1"),
        ("docker.io/nginx:1", "https://registry-1.docker.io", "library/nginx", "1"),
        ("index.docker.io/team/web:1", "https://registry-1.docker.io", "team/web", "1"),
        ("ghcr.io/a/b/c:v1.2_3-4", "https://ghcr.io", "a/b/c", "v1.2_3-4"),
        ("registry.example.com:5000/web:1", "https://registry.example.com:5000", "web", "1"),
        ("localhost:5000/web:1", "http://localhost:5000", "web", "1"),
        ("localhost/web:1", "http://localhost", "web", "1"),
        ("127.0.0.1:5001/web:1", "http://127.0.0.1:5001", "web", "1"),
        ("r.example.com/web@" + DIGEST, "https://r.example.com", "web", DIGEST),
        ("r.example.com/web@" + SHA512, "https://r.example.com", "web", SHA512),
        ("r.example.com/web:1@" + DIGEST, "https://r.example.com", "web", DIGEST),
        ("r.example.com/web:" + "t" * 128, "https://r.example.com", "web", "t" * 128),
    ],
)
def test_references(reference: str, base: str, repository: str, version: str) -> None:
    asked = request({"images": [reference], "timeout": 1.0})
    image = asked.images[0]
    assert (asked.base(image.registry), image.repository, image.version) == (base, repository, version)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        " nginx",
        "Team/web:1",
        "r.example.com/Web:1",
        "web:",
        "web:-1",
        "web:.1",
        "web:1 2",
        "web:" + "t" * 129,
        "web@sha256:12",
        "web@sha256:" + "A" * 64,
        "web@md5:" + "a" * 32,
        "web:1@",
        "https://r.example.com/web:1",
        "r.example.com:99999/web:1",
        "r.example.com:0/web:1",
        "r.example.com//web:1",
        "r.example.com/../web:1",
        "r.example.com/web?x=1",
        "r.example.com/web:1\n",
        "user:secret@r.example.com/web:1",
        "r.example.com/wеb:1",  # noqa: RUF001  (a Cyrillic letter)
        "a/" * 300 + "b",
    ],
)
def test_bad_references_are_refused(reference: str) -> None:
    error = refused("nginx", reference)
    assert isinstance(error, InvalidInput)
    assert error.option == "images[1]"


@pytest.mark.parametrize(
    "options, option",
    [
        ({"images": []}, "images"),
        ({"mirrors": {"r.example.com": "http://mirror.example.com"}}, "mirrors"),
        ({"mirrors": {"r.example.com": "http://127.0.0.1.example.com"}}, "mirrors"),
        ({"mirrors": {"r.example.com": "ftp://127.0.0.1"}}, "mirrors"),
        ({"mirrors": {"r.example.com": "https://robot:secret@mirror.example.com"}}, "mirrors"),
        ({"mirrors": {"r.example.com": "https://169.254.169.254"}}, "mirrors"),
        ({"mirrors": {"r.example.com": "https://m.example.com/?a=b"}}, "mirrors"),
        ({"mirrors": {"r.example.com": "mirror.example.com"}}, "mirrors"),
        ({"username": "robot"}, "password"),
        ({"password": "secret"}, "username"),
        ({"images": ["a.example.com/a:1", "b.example.com/b:1"], **ROBOT}, "registry"),
        ({"timeout": 0.0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], option: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        request({"images": ["nginx"], "timeout": 1.0, **options})
    assert caught.value.option == option


def test_behaviour_16_image_exists(registry: FakeRegistry) -> None:
    registry.pages[PAGE + "1"] = manifest()
    assert asking(web(registry)) == [
        {
            "reference": web(registry),
            "registry": registry.host,
            "repository": "team/web",
            "tag": "1",
            "digest": DIGEST,
            "media_type": OCI,
            "exists": True,
        }
    ]
    assert [item.method for item in registry.asked] == ["HEAD"]
    assert registry.asked[0].headers["Accept"] == ", ".join(MANIFEST_TYPES)
    assert len(MANIFEST_TYPES) == 4


def test_behaviour_16_missing_image_stops(registry: FakeRegistry) -> None:
    registry.pages[PAGE + "1"] = manifest()
    error = refused(web(registry), web(registry, ":2"))
    assert isinstance(error, NotFound)
    assert web(registry, ":2") in str(error)
    assert web(registry, ":1") not in str(error)
    assert [item["exists"] for item in error.result["images"]] == [True, False]


def test_answers_come_in_the_order_asked_and_nothing_is_asked_twice(registry: FakeRegistry) -> None:
    for tag in ("1", "3"):
        registry.pages[PAGE + tag] = manifest()
    tags = ["3", "2", "1", "3", "2"]
    found = asking(*(web(registry, ":" + tag) for tag in tags), must_exist=False)
    assert [item["tag"] for item in found] == tags
    assert [item["exists"] for item in found] == [True, False, True, True, False]
    assert len(registry.asked) == 4  # 2 is asked for once more: only the body tells a registry from any other server


def test_mirror_is_asked_in_place_of_the_registry(registry: FakeRegistry) -> None:
    registry.pages["/cache" + PAGE + "1"] = manifest()
    found = asking(
        "registry.example.com/team/web:1", mirrors={"registry.example.com": "http://%s/cache/" % registry.host}
    )
    assert (found[0]["registry"], found[0]["exists"]) == ("registry.example.com", True)


@pytest.mark.parametrize("digest", ["", "not-a-digest", SHA512[:-1]])
def test_digest_is_computed_when_the_registry_does_not_tell(registry: FakeRegistry, digest: str) -> None:
    registry.pages[PAGE + "1"] = manifest(digest=digest)
    assert asking(web(registry))[0]["digest"] == DIGEST
    assert [item.method for item in registry.asked] == ["HEAD", "GET"]


@pytest.mark.parametrize("status", [405, 501, 400])
def test_registry_without_head(registry: FakeRegistry, status: int) -> None:
    registry.script.append(refusal(status, "UNSUPPORTED"))
    registry.pages[PAGE + "1"] = manifest()
    assert asking(web(registry))[0]["digest"] == DIGEST


def test_wanted_digest_of_another_algorithm_is_proved_by_the_body(registry: FakeRegistry) -> None:
    registry.pages[PAGE + SHA512] = manifest()
    assert refused(web(registry, "@" + SHA512)).code == "digest_mismatch"
    assert [item.method for item in registry.asked] == ["HEAD", "GET"]


def test_another_manifest_than_the_one_asked_for_is_refused(registry: FakeRegistry) -> None:
    wanted = "sha256:" + "0" * 64
    registry.pages[PAGE + wanted] = manifest()
    error = refused(web(registry, "@" + wanted))
    assert error.code == "digest_mismatch"
    assert "expected %s, got %s" % (wanted, DIGEST) in str(error)


def test_manifest_that_is_not_what_its_header_says_is_refused(registry: FakeRegistry) -> None:
    registry.script += [manifest(kind=INDEX), manifest(body=b"{}", kind=INDEX, digest=DIGEST)]
    assert refused(web(registry), platforms=True).code == "digest_mismatch"


def test_platforms(registry: FakeRegistry) -> None:
    platforms = [
        {"os": "linux", "architecture": "arm64", "variant": "v8"},
        {"os": "linux", "architecture": "amd64"},
        {"os": "unknown", "architecture": "unknown"},
    ]
    body = json.dumps({"manifests": [{"platform": item} for item in platforms] + [{}]}).encode()
    told = manifest(body, INDEX)
    registry.pages[PAGE + "1"] = registry.pages[PAGE + told.headers["Docker-Content-Digest"]] = told
    registry.pages[PAGE + "2"] = manifest()
    found = asking(web(registry), web(registry, ":2"), platforms=True)
    assert [item["platforms"] for item in found] == [["linux/amd64", "linux/arm64/v8"], []]


def test_tag_that_moves_between_two_requests(registry: FakeRegistry) -> None:
    """What is described is what the first answer named, not what the tag is now."""
    first, later = manifest(b'{"manifests": []}', INDEX), manifest(b'{"manifests": [ ]}', INDEX)
    digest = first.headers["Docker-Content-Digest"]
    registry.script.append(first)
    registry.pages = {PAGE + "1": later, PAGE + digest: first}
    assert asking(web(registry), platforms=True)[0]["digest"] == digest
    assert registry.asked[-1].path == PAGE + digest


FILE = Told(200, b"\0", {"Content-Type": "application/octet-stream"})


@pytest.mark.parametrize("told", [HTML, FILE, Told(404, b"not here"), Told(200, b"", {"Content-Type": ""})])
def test_server_that_is_no_registry(registry: FakeRegistry, told: Told) -> None:
    registry.pages[PAGE + "1"] = told
    error = refused(web(registry), must_exist=False)
    assert error.code == "not_a_registry"
    assert "mirror" in error.hint


def test_anonymous_token(registry: FakeRegistry) -> None:
    challenge = 'Bearer realm="http://%s/token?x=1",service="the registry",scope="repository:team/web:pull"'
    registry.script.append(refusal(401, "UNAUTHORIZED", WWW_Authenticate=challenge % registry.host))
    token = "/token?x=1&scope=repository%3Ateam%2Fweb%3Apull&service=the+registry"
    registry.pages = {token: Told(200, b'{"token": "t-o-k-e-n"}'), PAGE + "1": manifest()}
    assert asking(web(registry))[0]["exists"]
    assert [item.authorization for item in registry.asked] == ["", "", "Bearer t-o-k-e-n"]


def test_token_for_user_name_and_password(registry: FakeRegistry) -> None:
    """The password goes to the token service, only the token to the registry; no output may carry either."""
    registry.script.append(refusal(401, WWW_Authenticate='Bearer realm="http://%s/token"' % registry.host))
    token = Told(200, b'{"access_token": "t-o-k-e-n"}')
    registry.pages = {"/token?scope=repository%3Ateam%2Fweb%3Apull": token, PAGE + "1": manifest()}
    ctx = Context()
    asking(web(registry), ctx=ctx, **ROBOT)
    assert [item.authorization for item in registry.asked] == ["", BASIC, "Bearer t-o-k-e-n"]
    assert {"t-o-k-e-n", BASIC.partition(" ")[2]} <= ctx.secrets.values


def test_basic_authentication(registry: FakeRegistry) -> None:
    registry.script.append(refusal(401, WWW_Authenticate='Basic realm="Registry"'))
    registry.pages[PAGE + "1"] = manifest()
    assert asking(web(registry), **ROBOT)[0]["exists"]
    assert [item.authorization for item in registry.asked] == ["", BASIC]


@pytest.mark.parametrize(
    "header, options, told",
    [
        ('Basic realm="r"', {}, "asks for a user name and a password"),
        ('Basic realm="r"', ROBOT, "refuses the user name or the password"),
        ('Bearer realm="REALM/token"', ROBOT, "gives no token"),
        ('Bearer realm="REALM/token"', {}, "answer a repository that does not exist just like one that is private"),
        ('Bearer realm="http://auth.example.com/token"', ROBOT, "which is no https address"),
        ('Bearer realm="http://127.0.0.1.example.com/token"', ROBOT, "which is no https address"),
        ('Bearer realm="https://a:b@auth.example.com/token"', ROBOT, "which is no https address"),
        ('Bearer realm="file:///etc/passwd"', ROBOT, "which is no https address"),
        ("Bearer", ROBOT, "which is no https address"),
        ("Negotiate", ROBOT, "in a way that is not known here"),
        ("", {}, "in a way that is not known here"),
    ],
)
def test_refused_log_in(registry: FakeRegistry, header: str, options: dict[str, str], told: str) -> None:
    answer = refusal(401, "UNAUTHORIZED", WWW_Authenticate=header.replace("REALM", "http://" + registry.host))
    registry.script += [answer] * 4
    error = refused(web(registry), must_exist=False, **options)
    assert error.code == "auth"
    assert told in str(error)
    assert "a password of tests" not in str(error)


def test_token_that_is_refused(registry: FakeRegistry) -> None:
    registry.pages["/token?scope=repository%3Ateam%2Fweb%3Apull"] = Told(200, b'{"token": "t"}')
    registry.pages[PAGE + "1"] = refusal(401, WWW_Authenticate='Bearer realm="http://%s/token"' % registry.host)
    assert "refuses to be read by everybody" in str(refused(web(registry)))
    assert len(registry.asked) == 3


def test_forbidden(registry: FakeRegistry) -> None:
    registry.pages[PAGE + "1"] = refusal(403, "DENIED")
    error = refused(web(registry), must_exist=False)
    assert isinstance(error, Forbidden)
    assert "pull from team/web" in error.hint


def test_credentials_are_for_one_registry(registry: FakeRegistry, other: FakeRegistry) -> None:
    for host in (registry, other):
        host.script.append(refusal(401, WWW_Authenticate='Basic realm="r"'))
        host.pages[PAGE + "1"] = manifest()
    error = refused(web(registry), web(other), registry=registry.host, **ROBOT)
    assert (error.code, error.resource) == ("auth", other.host)
    assert [item.authorization for item in registry.asked] == ["", BASIC]
    assert [item.authorization for item in other.asked] == [""]


def test_token_service_is_not_followed_elsewhere(registry: FakeRegistry, other: FakeRegistry) -> None:
    registry.script += [
        refusal(401, WWW_Authenticate='Bearer realm="http://%s/token"' % registry.host),
        Told(302, b"", {"Location": "http://%s/token" % other.host}),
    ]
    assert refused(web(registry), **ROBOT).code == "auth"
    assert other.asked == []


def test_redirect_to_another_host_goes_without_credentials(registry: FakeRegistry, other: FakeRegistry) -> None:
    away = Told(307, b"", {"Location": "http://%s/blob" % other.host})
    registry.script += [refusal(401, WWW_Authenticate='Basic realm="r"'), away]
    other.pages["/blob"] = manifest()
    assert asking(web(registry), **ROBOT)[0]["digest"] == DIGEST
    assert registry.asked[-1].authorization == BASIC
    assert [item.authorization for item in other.asked] == [""]


def test_redirect_on_the_same_host_keeps_them(registry: FakeRegistry) -> None:
    registry.script += [refusal(401, WWW_Authenticate='Basic realm="r"'), Told(301, b"", {"Location": "/blob"})]
    registry.pages["/blob"] = manifest()
    assert asking(web(registry), **ROBOT)[0]["exists"]
    assert registry.asked[-1].authorization == BASIC


def test_redirects_in_a_row(registry: FakeRegistry) -> None:
    registry.script += [Told(status, b"", {"Location": "/blob"}) for status in (301, 302, 303, 308)]
    registry.pages["/blob"] = manifest()
    assert asking(web(registry))[0]["exists"]


def test_other_host_that_wants_to_know_us_does_not_get_to(registry: FakeRegistry, other: FakeRegistry) -> None:
    registry.script.append(Told(307, b"", {"Location": "http://%s/blob" % other.host}))
    other.pages["/blob"] = refusal(401, WWW_Authenticate='Basic realm="r"')
    assert refused(web(registry), **ROBOT).code == "auth"
    assert [item.authorization for item in other.asked] == [""]


@pytest.mark.parametrize(
    "location, code",
    [
        ("http://mirror.example.com/blob", "not_a_registry"),
        ("ftp://127.0.0.1/blob", "not_a_registry"),
        ("https://a:b@mirror.example.com/blob", "not_a_registry"),
        ("https://[::1/blob", "not_a_registry"),
        ("https://169.254.169.254/latest/meta-data", "invalid_input"),
        ("", "not_a_registry"),
        (PAGE + "1", "not_a_registry"),
    ],
    ids=["plain http", "scheme", "user information", "no URL", "metadata", "nowhere", "for ever"],
)
def test_redirects_that_are_not_followed(registry: FakeRegistry, location: str, code: str) -> None:
    registry.pages[PAGE + "1"] = Told(302, b"", {"Location": location})
    assert refused(web(registry), must_exist=False).code == code


def test_https_is_not_left(secure: FakeRegistry, registry: FakeRegistry, pem: Path) -> None:
    secure.pages[PAGE + "1"] = Told(302, b"", {"Location": "http://%s/blob" % registry.host})
    mirrors = {"r.example.com": "https://" + secure.host}
    error = refused("r.example.com/team/web:1", mirrors=mirrors, ca_cert=str(pem))
    assert error.code == "not_a_registry"
    assert registry.asked == []


@pytest.mark.parametrize(
    "options, is_trusted", [({}, False), ({"ca_cert": "PEM"}, True), ({"validate_certs": False}, True)]
)
def test_private_authority(secure: FakeRegistry, pem: Path, options: dict[str, Any], is_trusted: bool) -> None:
    secure.pages[PAGE + "1"] = manifest()
    options = {name: str(pem) if value == "PEM" else value for name, value in options.items()}
    options["mirrors"] = {"r.example.com": "https://" + secure.host}
    if is_trusted:
        assert asking("r.example.com/team/web:1", **options)[0]["digest"] == DIGEST
    else:
        error = refused("r.example.com/team/web:1", **options)
        assert (error.code, error.hint) == ("tls", "For a private authority set ca_cert.")


def test_unusable_authority_names_the_option(secure: FakeRegistry, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    mirrors = {"r.example.com": "https://" + secure.host}
    error = refused("r.example.com/team/web:1", mirrors=mirrors, ca_cert=str(tmp_path / "ca.pem"))
    assert isinstance(error, InvalidInput)
    assert error.option == "ca_cert"


@pytest.mark.parametrize(
    "fault",
    [
        refusal(503, "UNAVAILABLE"),
        refusal(500),
        refusal(429, "TOOMANYREQUESTS"),
        refusal(429, Retry_After="0"),
        refusal(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
        Told(0),
        Told(200, b"{}", {"Content-Length": "9", "Content-Type": "application/json"}),
    ],
    ids=["503", "500", "429", "no wait", "a date", "hangs up", "half an answer"],
)
def test_what_may_pass_is_tried_again(registry: FakeRegistry, fault: Told) -> None:
    registry.script += [refusal(405), fault, fault]
    registry.pages[PAGE + "1"] = manifest()
    assert asking(web(registry))[0]["exists"]
    assert len(registry.asked) == 4


@pytest.mark.parametrize(
    "told, code",
    [
        (refusal(503, "UNAVAILABLE"), "server_error"),
        (refusal(429, "TOOMANYREQUESTS", Retry_After="3600"), "too_many_requests"),
    ],
)
def test_patience_ends_with_the_time(registry: FakeRegistry, told: Told, code: str) -> None:
    registry.pages[PAGE + "1"] = told
    error = refused(web(registry), timeout=0.4)
    assert isinstance(error, TransientError)
    assert error.code == code
    assert len(registry.asked) == (1 if "Retry-After" in told.headers else 3)


def test_silent_registry_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refused("127.0.0.1:%d/web:1" % silent.getsockname()[1], timeout=0.3)
    assert error.code == "timeout"


def test_absent_registry_is_told_at_once(registry: FakeRegistry) -> None:
    registry.close()
    error = refused(web(registry), timeout=3600.0)
    assert isinstance(error, TransientError)
    assert (error.code, error.resource) == ("unreachable", registry.host)


def test_server_that_speaks_something_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = "127.0.0.1:%d" % listener.getsockname()[1]
        mirrors = {"r.example.com": "https://" + host}
        listener.settimeout(5)

        def speak() -> None:
            connection, _peer = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH\r\n" * 2)
                connection.recv(4096)

        thread = threading.Thread(target=speak, daemon=True)
        thread.start()
        error = refused("r.example.com/web:1", mirrors=mirrors)
        thread.join()
    assert isinstance(error, PermanentError)
    assert error.code == "not_http"


def test_plain_http_stays_on_this_machine(registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name localhost is believed only if it leads to loopback."""
    away = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", registry.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: away)
    error = refused("localhost:%d/team/web:1" % registry.port, **ROBOT)
    assert isinstance(error, InvalidInput)
    assert "http is for this machine only" in str(error)


@pytest.mark.parametrize(
    "header, found",
    [
        ("", []),
        ("Basic", [("basic", {})]),
        (
            'Bearer realm="https://a/t",service="s, with comma"',
            [("bearer", {"realm": "https://a/t", "service": "s, with comma"})],
        ),
        (
            'Basic realm="r", Bearer realm="b",scope="x:y:pull,push"',
            [("basic", {"realm": "r"}), ("bearer", {"realm": "b", "scope": "x:y:pull,push"})],
        ),
        (r'BEARER Realm = "a\"b" , service=plain', [("bearer", {"realm": 'a"b', "service": "plain"})]),
        ('realm="lost"', []),
        ('Bearer realm="unfinished', [("bearer", {"realm": ""}), ("unfinished", {})]),
    ],
)
def test_challenges(header: str, found: list[Any]) -> None:
    assert [(item.scheme, dict(item.parameters)) for item in challenges(header)] == found


def test_token_before_password() -> None:
    challenge = chosen('Basic realm="r", Bearer realm="b"')
    assert challenge is not None
    assert challenge.scheme == "bearer"
    assert chosen("Negotiate") is None


def test_challenge_is_read_in_bounded_time() -> None:
    assert challenges('Bearer realm="' + "\\" * 100_000) is not None


def test_manifest_of_the_tests_is_what_it_claims() -> None:
    assert manifest().headers["Docker-Content-Digest"] == DIGEST
    assert manifest().body == MANIFEST
