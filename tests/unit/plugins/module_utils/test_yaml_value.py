# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor of single values: byte for byte, invented oddities, refusals, and properties."""

from __future__ import annotations

import copy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.slipway.gitops.plugins.module_utils._edit import document
from ansible_collections.slipway.gitops.plugins.module_utils._edit.document import DocumentError
from ansible_collections.slipway.gitops.plugins.module_utils._edit.plain import reads_as_string
from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput
from ansible_collections.slipway.gitops.plugins.module_utils._values import edit as editor
from ansible_collections.slipway.gitops.plugins.module_utils._values.edit import (
    KeyMissing,
    ValueProblem,
    Wish,
    look_up,
    set_values,
)
from ansible_collections.slipway.gitops.plugins.module_utils._values.file import wishes
from ansible_collections.slipway.gitops.plugins.module_utils._values.keys import format_key, parse_key


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def loader(request, monkeypatch):
    """Run with libyaml's marks and with those of the Python parser."""
    monkeypatch.setattr(document, "_LOADER", getattr(yaml, request.param))


def edit(text, *wanted):
    return set_values(text.encode("utf-8"), wanted).data.decode("utf-8")


def restored(outcome):
    """Return the wishes that bring the recorded state back, as the module makes them of its own result."""
    return wishes(outcome.before, [], is_rollback=True)


# Key paths

KEYS = [
    ("image", ("image",)),
    ("image.tag", ("image", "tag")),
    (r"labels.app\.kubernetes\.io/name", ("labels", "app.kubernetes.io/name")),
    ("containers[0].image", ("containers", 0, "image")),
    ("a[1][2]", ("a", 1, 2)),
    (r"a\[0\]", ("a[0]",)),
    (r"back\\slash.x y", ("back\\slash", "x y")),
    ("ü.1", ("ü", "1")),
]


@pytest.mark.parametrize(("text", "place"), KEYS)
def test_a_key_path_is_read_and_written_back(text, place):
    assert parse_key(text) == place
    assert format_key(place) == text


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a]", "[0]", "a[0]b", "a[-1]", "a\\", "a\\b", "a\n", "x" * 501]
)
def test_what_is_no_key_path_is_refused(text):
    with pytest.raises(ValueError, match=r"it must be|a name is missing|is expected at"):
        parse_key(text)


def test_a_key_path_that_is_too_deep_is_refused():
    with pytest.raises(ValueError, match="more than 32 parts"):
        parse_key(".".join("a" * 33))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.text(alphabet="ab.[]\\/ -é0", min_size=1, max_size=6), st.integers(0, 99)), max_size=5))
def test_every_place_has_one_key_path(parts):
    place = ("top", *parts)
    assert parse_key(format_key(place)) == place


# Edits

BASE = "# values\nreplicas: 2\nimage:\n  repository: r.io/app\n  tag: v1  # set by deliveries\nhost: x\n"

# name, text before, wish, text after
EDITS = [
    ("tag", BASE, Wish("image.tag", "v2"), BASE.replace("v1", "v2")),
    ("same", BASE, Wish("image.tag", "v1"), BASE),
    ("top level", BASE, Wish("host", "y.z"), BASE.replace("host: x", "host: y.z")),
    ("number", BASE, Wish("replicas", 3), BASE.replace("2", "3")),
    ("same number", BASE, Wish("replicas", 2), BASE),
    ("number becomes text", BASE, Wish("replicas", "2"), BASE.replace("2", '"2"')),
    ("boolean", "a: true # c\n", Wish("a", False), "a: false # c\n"),
    ("same boolean", "a: True\n", Wish("a", True), "a: True\n"),
    ("one is not true", "a: 1\n", Wish("a", True), "a: true\n"),
    ("text becomes number", "a: '1'\n", Wish("a", 1), "a: 1\n"),
    ("double quotes stay", 'a: "1.9"\n', Wish("a", "v2"), 'a: "v2"\n'),
    ("single quotes stay", "a: '1.9' # c\n", Wish("a", "2.0"), "a: '2.0' # c\n"),
    ("quotes in quotes", "a: 'x'\nb: \"y\"\n", Wish("a", "it's"), "a: 'it''s'\nb: \"y\"\n"),
    ("backslash in double quotes", 'a: "x"\n', Wish("a", 'q"\\'), 'a: "q\\"\\\\"\n'),
    ("digits in the quotes of the mapping", "b: 'x'\nm:\n  a: v1\n", Wish("m.a", "1"), "b: 'x'\nm:\n  a: '1'\n"),
    ("spaces stay plain", "a: x y\n", Wish("a", "y z"), "a: y z\n"),
    ("comment sign is quoted", "a: x\n", Wish("a", "y #z"), 'a: "y #z"\n'),
    ("colon is quoted", "a: x\n", Wish("a", "y: z"), 'a: "y: z"\n'),
    ("outer space is quoted", "a: x\n", Wish("a", " y "), 'a: " y "\n'),
    ("empty text", "a: v1\n", Wish("a", ""), 'a: ""\n'),
    ("empty text filled", 'a: ""\n', Wish("a", "1.10"), 'a: "1.10"\n'),
    ("not ascii", 'a: "x"\n', Wish("a", "größe \U0001f680"), 'a: "größe \U0001f680"\n'),
    ("digest", 'a: ""\n', Wish("a", "sha256:" + "0" * 64), 'a: "sha256:%s"\n' % ("0" * 64)),
    ("digest plain", "a: v1\n", Wish("a", "sha256:" + "0" * 64), "a: sha256:%s\n" % ("0" * 64)),
    ("null filled", "a: \n", Wish("a", "v1"), "a: v1\n"),
    ("nothing filled", "a:\nb: 1\n", Wish("a", "1"), 'a: "1"\nb: 1\n'),
    ("nothing filled before a comment", "a: # none\n", Wish("a", "v1"), "a: v1 # none\n"),
    ("tilde", "a: ~\n", Wish("a", "~"), 'a: "~"\n'),
    ("list item", "c:\n- image: v1\n- image: v1 # b\n", Wish("c[1].image", "v2"), "c:\n- image: v1\n- image: v2 # b\n"),
    ("scalar in a list", "args: [--x, v1]\n", Wish("args[1]", "v2"), "args: [--x, v2]\n"),
    ("block list", "args:\n  - a\n  - 'b'\n", Wish("args[1]", "c"), "args:\n  - a\n  - 'c'\n"),
    ("flow", "image: {tag: v1, x: y}\n", Wish("image.tag", "v2"), "image: {tag: v2, x: y}\n"),
    ("flow, colon is quoted", "image: {tag: v1}\n", Wish("image.tag", "a:b"), 'image: {tag: "a:b"}\n'),
    ("json", '{"image":{"tag":"1"}}', Wish("image.tag", "2"), '{"image":{"tag":"2"}}'),
    ("dotted key", "a.b/c: v1\n", Wish(r"a\.b/c", "v2"), "a.b/c: v2\n"),
    ("key that is a number", "1: v1\n", Wish("1", "v2"), "1: v2\n"),
    ("crlf", BASE.replace("\n", "\r\n"), Wish("image.tag", "v2"), BASE.replace("\n", "\r\n").replace("v1", "v2")),
    ("byte-order mark", "\ufeff" + BASE, Wish("image.tag", "v2"), "\ufeff" + BASE.replace("v1", "v2")),
    ("no line end", "a: v1", Wish("a", "v2"), "a: v2"),
    ("emoji before it", "# \U0001f680\na: v1\n", Wish("a", "v2"), "# \U0001f680\na: v2\n"),
    ("start and end marks", "---\na: v1\n...\n", Wish("a", "v2"), "---\na: v2\n...\n"),
    ("unused anchor", "a: &t v1\n", Wish("a", "v2"), "a: &t v2\n"),
    ("unused anchor before the line", "a: &x\n  v1\n", Wish("a", "v2"), "a: &x\n  v2\n"),
    ("unused anchor of nothing", "a: &x\nb: 1\n", Wish("a", "v2"), "a: &x v2\nb: 1\n"),
    ("nothing in a list", "args:\n-\n- b\n", Wish("args[0]", "v2"), "args:\n- v2\n- b\n"),
    ("explicit string", "a: !!str 1.9\n", Wish("a", "1.10"), 'a: !!str "1.10"\n'),
    ("alias elsewhere", "x: &x {y: 1}\nz: *x\na: v1\n", Wish("a", "v2"), "x: &x {y: 1}\nz: *x\na: v2\n"),
    ("block text that has it already", "a: |-\n  v1\n", Wish("a", "v1"), "a: |-\n  v1\n"),
    ("own key over a merged one", "d: &d {t: v0}\na:\n  <<: *d\n  t: v1\n", Wish("a.t", "v2"),
     "d: &d {t: v0}\na:\n  <<: *d\n  t: v2\n"),
    # create
    ("create", BASE, Wish("image.digest", "x", create=True), BASE.replace("deliveries\n", "deliveries\n  digest: x\n")),
    ("create at the top", BASE, Wish("port", 80, create=True), BASE + "port: 80\n"),
    ("create, no line end", "a: 1", Wish("b", "2", create=True), 'a: 1\nb: "2"'),
    ("create, crlf", "a: 1\r\n", Wish("b", True, create=True), "a: 1\r\nb: true\r\n"),
    ("create after a nested value", "a:\n  b:\n    - c\n\n# end\n", Wish("d", "e", create=True),
     "a:\n  b:\n    - c\nd: e\n\n# end\n"),
    ("create after a block text", "a:\n  b: |\n    x\nc: d\n", Wish("a.e", "f", create=True),
     "a:\n  b: |\n    x\n  e: f\nc: d\n"),
    ("create in brackets", "a: {b: c}\n", Wish("a.d", "1", create=True), 'a: {b: c, d: "1"}\n'),
    ("create in empty brackets", "a: {} # c\n", Wish("a.d", "1", create=True), 'a: {d: "1"} # c\n'),
    ("create, name is quoted", "a: {b: c}\n", Wish("a.on", "x", create=True), 'a: {b: c, "on": x}\n'),
    ("create, dotted name", "m:\n  a: b\n", Wish(r"m.x\.y/z", "1", create=True), 'm:\n  a: b\n  x.y/z: "1"\n'),
    ("create, crlf after a block text", "a:\r\n  b: |\r\n    x\r\nc: 1\r\n", Wish("a.m", "v", create=True),
     "a:\r\n  b: |\r\n    x\r\n  m: v\r\nc: 1\r\n"),
    ("create, json", '{"a":"b"}', Wish("c", "v1", create=True), '{"a":"b","c":"v1"}'),
    ("create, json after a number", '{"a": 1}', Wish("c", "v1", create=True), '{"a": 1, "c": "v1"}'),
    ("create, json in empty brackets", '{"a": {}}', Wish("a.c", "v1", create=True), '{"a": {"c": "v1"}}'),
    ("json, text for null", '{"a": null}', Wish("a", "v1"), '{"a": "v1"}'),
    ("create in brackets after a comment", "m: {a: # about\n  v1}\n", Wish("m.b", "x", create=True),
     "m: {a: # about\n  v1, b: x}\n"),
    ("create when it is there", BASE, Wish("image.tag", "v2", create=True), BASE.replace("v1", "v2")),
    # absent
    ("absent", BASE, Wish("image.tag", is_present=False), BASE.replace("  tag: v1  # set by deliveries\n", "")),
    ("absent already", BASE, Wish("image.digest", is_present=False), BASE),
    ("absent with its parents", BASE, Wish("x.y.z", is_present=False), BASE),
    ("absent in brackets", "a: {b: c, d: e}\n", Wish("a.d", is_present=False), "a: {b: c}\n"),
    ("absent, the only one in brackets", "a: {b: c}\n", Wish("a.b", is_present=False), "a: {}\n"),
    ("absent, first", "b: 1\na: 2\n", Wish("b", is_present=False), "a: 2\n"),
    ("absent, a comma at the end", "m: {a: v1,}\n", Wish("m.a", is_present=False), "m: {}\n"),
    ("absent, first of an item", "l:\n- a: 1 # c\n  # about b\n  b: 2\n", Wish("l[0].a", is_present=False),
     "l:\n-\n  # about b\n  b: 2\n"),
    ("absent in brackets, after a comment", "m: {a: 1, # about a\n  b: 2}\n", Wish("m.b", is_present=False),
     "m: {a: 1, # about a\n  }\n"),
    ("absent in brackets, between a comment and a comma", "m: {a: 1, # about a\n  b: 2,}\n",
     Wish("m.b", is_present=False), "m: {a: 1, # about a\n  }\n"),
    ("absent in brackets, between comments", "m: {a: 1, # about a\n  b: 2, # about b\n  c: 3}\n",
     Wish("m.b", is_present=False), "m: {a: 1, # about a\n  c: 3}\n"),
    ("absent in brackets, before a comment", "m: {a: 1,\n  # about b\n  b: 2}\n", Wish("m.a", is_present=False),
     "m: {\n  # about b\n  b: 2}\n"),
    ("absent, last without line end, crlf", "b: 1\r\na: 2", Wish("a", is_present=False), "b: 1"),
    ("absent, last without line end", "b: 1\na: 2", Wish("a", is_present=False), "b: 1"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wish", "expected"), [case[1:] for case in EDITS], ids=[case[0] for case in EDITS])
def test_an_edit_changes_these_bytes_only(text, wish, expected, loader):
    assert edit(text, wish) == expected
    assert edit(expected, wish) == expected


@pytest.mark.parametrize(("text", "wish", "expected"), [case[1:] for case in EDITS], ids=[case[0] for case in EDITS])
def test_the_recorded_state_brings_the_meaning_back(text, wish, expected):
    """What was written is undone by the result of the task, and nothing else changes by that."""
    outcome = set_values(text.encode(), [wish])
    back = set_values(outcome.data, restored(outcome)).data.decode()
    assert _texts(yaml.safe_load(back.lstrip("\ufeff"))) == _texts(yaml.safe_load(text.lstrip("\ufeff")))


def _texts(node):
    """Read a pair's order out, which a removed and restored key may change."""
    if isinstance(node, dict):
        return sorted((str(key), _texts(value)) for key, value in node.items())
    return [_texts(item) for item in node] if isinstance(node, list) else repr(node)


def test_tabs_before_comments_are_kept():
    """libyaml accepts them, and so do the readers that are written in Go; the Python parser refuses the file."""
    text = "image:\t# x\t\n  tag: v1 \t# y\n"
    assert edit(text, Wish("image.tag", "v2")) == text.replace("v1", "v2")


LOOKS_LIKE = [
    "1.10", "0123", "1e5", "on", "~", "20240101120000", "yes", "No", "null", "0x1F", "0o17", "1_000", "2024-01-02",
    "0b1", "y", "017", "1.", "12e03", "-1", "+1", ".5", ".inf", "12:30:45", "true", "=", "<<", "-", "?", "!x", "&x",
    "2026-05-01 12:00:00", "2026-5-1 1:2:3.5", "2026-05-01T12:00:00Z", "0_b1", "0_x1F", "0_o7", "0b-1", "0b+1", "0o-7",
    "0o+7", "0e_+1", "1__0", "*x", "[x]", "{x}", "@x", "`x", "%x", "|", ">", "#x", "'x'", '"x"', "x:", "- x", "---",
    "...",
]  # fmt: skip


@pytest.mark.parametrize("text", LOOKS_LIKE)
@pytest.mark.parametrize(
    "style", ["a: v1\n", "a: 'v1'\n", 'a: "v1"\n', "a: 7\n", "a: {}\nb: {c: 1}\n", "a:\n"], ids=repr
)
def test_text_that_looks_like_something_else_stays_text(text, style, loader):
    key = "b.c" if "c: 1" in style else "a"
    after = edit(style, Wish(key, text))
    loaded = yaml.safe_load(after)
    assert (loaded["b"]["c"] if key == "b.c" else loaded["a"]) == text
    assert '"' in after or "'" in after
    assert edit(after, Wish(key, text)) == after


@pytest.mark.parametrize("text", ["v1_2", "a_b", "1.2.3", "release_1", "sha_0", "_1", "1_2_x", "2024-01-02x", "n_o"])
def test_text_that_is_text_to_every_reader_stays_without_quotes(text):
    assert edit("a: v1\n", Wish("a", text)) == "a: %s\n" % text


@pytest.mark.parametrize("text", ["1.10", "0123", "1e5", "on", "2024-01-02", "20240101120000"])
def test_an_unquoted_value_that_readers_disagree_about_is_repaired(text):
    """It says the same to us, but not to them."""
    outcome = set_values(("a: %s # c\n" % text).encode(), [Wish("a", text)])
    assert outcome.data.decode() == 'a: "%s" # c\n' % text
    assert str(outcome.before[0]["value"]) == text


def test_many_values_are_one_edit_and_the_states_are_complete():
    outcome = set_values(
        BASE.encode(),
        [Wish("image.tag", "2"), Wish("replicas", 3), Wish("image.digest", "d", create=True),
         Wish("image.pull", True, create=True), Wish("host", is_present=False), Wish("none", is_present=False)],
    )  # fmt: skip
    assert outcome.before == [
        {"key": "image.tag", "value": "v1", "state": "present"},
        {"key": "replicas", "value": 2, "state": "present"},
        {"key": "image.digest", "value": None, "state": "absent"},
        {"key": "image.pull", "value": None, "state": "absent"},
        {"key": "host", "value": "x", "state": "present"},
        {"key": "none", "value": None, "state": "absent"},
    ]
    assert [state["value"] for state in outcome.after] == ["2", 3, "d", True, None, None]
    assert yaml.safe_load(outcome.data) == {
        "replicas": 3, "image": {"repository": "r.io/app", "tag": "2", "digest": "d", "pull": True},
    }  # fmt: skip
    back = set_values(outcome.data, restored(outcome))
    assert back.data.decode() == BASE.replace("v1 ", '"v1" ')


RESTORED = [
    "enabled: no\nr: 0.75 # c\n", "enabled: 'no'\nr: \"0.75\"\n", "enabled: 2024-01-02 03:04:05\nr: 0x1F\n",
    'enabled: "x\\ny"\nr: "\\U00002028\\U0000007f"\n', "enabled: 9007199254740993\nr: 12345678901234567890\n",
    'enabled: "%s"\nr: \n' % ("x" * 5000),
]  # fmt: skip


@pytest.mark.parametrize("text", RESTORED, ids=range(len(RESTORED)))
@pytest.mark.parametrize(("one", "other"), [(True, "1"), ("v2", 3), ("no", "0.75")])
def test_a_rollback_restores_the_type_and_whatever_else_stood_there(text, one, other):
    outcome = set_values(text.encode(), [Wish("enabled", one), Wish("r", other)])
    back = set_values(outcome.data, restored(outcome)).data.decode()
    loaded = yaml.safe_load(text)
    assert yaml.safe_load(back) == loaded
    assert {type(value) for value in yaml.safe_load(back).values()} == {type(value) for value in loaded.values()}


def test_what_stood_there_without_quotes_is_recorded_so():
    outcome = set_values(b"a: no\nb: 'no'\nc: x\n", [Wish("a", True), Wish("b", "x"), Wish("c", "y")])
    assert outcome.before == [
        {"key": "a", "value": "no", "state": "present", "plain": True},
        {"key": "b", "value": "no", "state": "present"},
        {"key": "c", "value": "x", "state": "present"},
    ]
    assert type(outcome.before[0]["value"]) is str


@pytest.mark.parametrize("turned", [False, True])
def test_a_key_takes_the_place_of_the_only_one_in_whatever_order(turned):
    text = "image:\n  tag: v1\n"
    wanted = [Wish("image.tag", is_present=False), Wish("image.digest", "x", create=True)]
    outcome = set_values(text.encode(), wanted[::-1] if turned else wanted)
    assert outcome.data == b"image:\n  digest: x\n"
    assert [state["key"] for state in outcome.after] == [wish.key for wish in (wanted[::-1] if turned else wanted)]
    assert set_values(outcome.data, restored(outcome)).data.decode() == text


def test_looking_up_tells_absent_from_null():
    assert look_up(b"a: ~\n", "a") == {"key": "a", "value": None, "state": "present"}
    assert look_up(b"a: ~\n", "b") is None
    assert look_up(b"a:\n  b: 1\n", "a.b") == {"key": "a.b", "value": 1, "state": "present"}


# Refusals

TAG = Wish("image.tag", "v2")
REFUSED = [
    ("missing key", BASE, Wish("image.tga", "v2"), KeyMissing, "keys of image: repository, tag"),
    ("missing parent", BASE, Wish("img.tag", "v2", create=True), KeyMissing, "keys of the top level: host, image"),
    ("missing item", "a: [1]\n", Wish("a[1]", 2), KeyMissing, "a has 1 items"),
    ("merged key", "d: &d {tag: v1}\nimage:\n  <<: *d\n  x: y\n", TAG, KeyMissing, "merged from an alias"),
    (
        "merged key, created",
        "d: &d {t: v0}\na:\n  <<: *d\n",
        Wish("a.t", "v1", create=True),
        ValueProblem,
        "a on line 3 has keys merged",
    ),
    (
        "merged key, absent",
        "d: &d {t: v0}\na:\n  <<: *d\n  x: 1\n",
        Wish("a.t", is_present=False),
        ValueProblem,
        "merged from an alias",
    ),
    (
        "own key over a merged one, absent",
        "d: &d {t: v0}\na:\n  <<: *d\n  t: 1\n",
        Wish("a.t", is_present=False),
        ValueProblem,
        "merged from an alias",
    ),
    (
        "merged parent, absent",
        "d: &d\n  i: {t: v0}\na:\n  <<: *d\n",
        Wish("a.i.t", is_present=False),
        ValueProblem,
        "merged from an alias",
    ),
    ("question mark, absent", "a: 1\n? b\n: 2\n", Wish("b", is_present=False), ValueProblem, "written with '?'"),
    ("question mark, created", "? b\n: 2\n", Wish("c", "x", create=True), ValueProblem, "written with '?'"),
    ("question mark in brackets", "m: {? b : 2, c: 1}\n", Wish("m.b", is_present=False), ValueProblem, "with '?'"),
    ("comment before the value", "a: &x # c\n  v1\n", Wish("a", "v2"), ValueProblem, "a comment before its value"),
    (
        "unsafe place",
        "--- !!map\na: 1\nb: |\n  x",
        Wish("c", "y", create=True),
        DocumentError,
        "edit this file by hand",
    ),
    ("a mapping", BASE, Wish("image", "v2"), ValueProblem, "image is a mapping"),
    ("a list", "a: [1]\n", Wish("a", "v2"), ValueProblem, "is a list"),
    ("through a scalar", BASE, Wish("host.name", "v2"), ValueProblem, "host is no mapping"),
    ("through a list", "a: [1]\n", Wish("a.b", "v2"), ValueProblem, "is a list: name an item"),
    ("a position in a mapping", BASE, Wish("image[0]", "v2"), ValueProblem, "image is no list"),
    ("an alias", "x: &x v1\nimage: {tag: *x}\n", TAG, ValueProblem, "the alias *x"),
    ("a shared value", "image: {tag: &t v1}\nx: *t\n", TAG, ValueProblem, "shared through an anchor"),
    ("below an alias", "x: &x {tag: v1}\nimage: *x\n", TAG, ValueProblem, "the alias *x"),
    ("below a shared mapping", "image: &i {tag: v1}\nx: *i\n", TAG, ValueProblem, "through the anchor &i"),
    ("below a shared list", "a: &l [{b: 1}]\nx: *l\n", Wish("a[0].b", 2), ValueProblem, "through the anchor &l"),
    ("block text", "image:\n  tag: |-\n    v1\n", TAG, ValueProblem, "a block text"),
    ("foreign tag", "image: {tag: !custom v2}\n", TAG, ValueProblem, "tagged !custom"),
    ("number tagged as text", "a: !!str 1\n", Wish("a", 1), ValueProblem, "tagged"),
    ("absent item", "a: [1]\n", Wish("a[0]", is_present=False), ValueProblem, "never removed"),
    ("absent, the only one", "a:\n  b: 1\n", Wish("a.b", is_present=False), ValueProblem, "the only key"),
    ("absent, shared", "a: &x 1\nb: *x\n", Wish("a", is_present=False), ValueProblem, "shared through an anchor"),
    ("duplicate key", "image:\n  tag: v1\n  tag: v2\n", TAG, DocumentError, "key 'tag' occurs twice"),
    ("duplicate key far away", BASE + "host: y\n", TAG, DocumentError, "key 'host' occurs twice"),
    ("several documents", BASE + "---\na: 1\n", TAG, DocumentError, "several YAML documents"),
    ("a list at the top", "- a\n", TAG, DocumentError, "not a mapping"),
    ("empty", "# nothing\n", TAG, DocumentError, "it is empty"),
    ("a template", "{{- if .Values.x }}\nimage: {tag: v1}\n{{- end }}\n", TAG, DocumentError, "not valid YAML"),
    ("tabs", "image:\n\ttag: v1\n", TAG, DocumentError, "not valid YAML"),
    ("nul", "image:\n  tag: v1\x00\n", TAG, DocumentError, "not valid YAML"),
]


@pytest.mark.parametrize(
    ("text", "wish", "kind", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_cannot_be_edited_safely_is_refused_with_the_reason(text, wish, kind, reason, loader):
    with pytest.raises(kind) as caught:
        edit(text, wish)
    assert reason in str(caught.value)


def test_large_files_and_foreign_encodings_are_refused():
    with pytest.raises(DocumentError, match="more than the 1048576 allowed"):
        set_values(BASE.encode() + b"#" * 2 * 1024 * 1024, [TAG])
    with pytest.raises(DocumentError, match="not valid UTF-8"):
        set_values(BASE.encode("utf-16"), [TAG])


BAD_WISHES = [
    ([], "values", "empty"),
    ([{"key": "a"}], "values[0].value", "there is none"),
    ([{"key": "a", "value": None}], "values[0].value", "there is none"),
    ([{"key": "a..b", "value": "x"}], "values[0].key", "a name is missing at character 3"),
    ([{"key": "a", "value": 1.1}], "values[0].value", "Write it in quotes"),
    ([{"key": "a", "value": {"b": 1}}], "values[0].value", "it is a dict"),
    ([{"key": "a", "value": ["b"]}], "values[0].value", "it is a list"),
    ([{"key": "a", "value": 2**60}], "values[0].value", "Write it in quotes"),
    ([{"key": "a", "value": "b\nc"}], "values[0].value", "one line"),
    ([{"key": "a", "value": "b\x1b"}], "values[0].value", "one line"),
    ([{"key": "a", "value": "x" * 4097}], "values[0].value", "one line"),
    ([{"key": "a", "value": "x", "state": "absent"}], "values[0].value", "has no value"),
    ([{"key": "a", "value": "no", "plain": True}], "values[0].plain", "only for a rollback"),
    ([{"key": "b", "value": 1}, {"key": "a", "value": "latest"}], "values[1].value", "denied by deny_values ('lat*')"),
    ([{"key": "a.b", "value": "x"}, {"key": "a.b", "value": "y"}], "values", "given twice"),
]


@pytest.mark.parametrize(("values", "option", "reason"), BAD_WISHES)
def test_a_bad_wish_names_its_option(values, option, reason):
    with pytest.raises(InvalidInput) as caught:
        wishes(values, ["lat*"])
    assert caught.value.option == option
    assert reason in str(caught.value)


def test_a_rollback_takes_what_a_record_can_hold():
    found = wishes(
        [{"key": "a", "value": None}, {"key": "b", "state": "absent"}, {"key": "c", "value": "x"}], [], is_rollback=True
    )
    assert found == [Wish("a", create=True), Wish("b", is_present=False), Wish("c", "x", create=True)]


@pytest.mark.parametrize(
    "item", [{"value": "x"}, {"value": 1}, {"value": None}, {"value": "no", "state": "absent"}, {"value": ""}], ids=repr
)
def test_only_text_that_needs_it_is_restored_without_quotes(item):
    with pytest.raises(InvalidInput) as caught:
        wishes([{"key": "a", "plain": True, **item}], [], is_rollback=True)
    assert caught.value.option == "values[0].plain"


def test_what_is_restored_without_quotes_cannot_bring_anything_along():
    (wish,) = wishes([{"key": "a", "value": "2024-01-02 # x", "plain": True}], [], is_rollback=True)
    with pytest.raises(DocumentError, match="more than the wanted"):
        edit("a: v1\n", wish)


SPOILED = [
    ("another value", lambda text: document.Edit(text.index("host: x") + 6, text.index("host: x") + 7, "y")),
    ("another key", lambda text: document.Edit(text.index("host"), text.index("host") + 4, "most")),
    ("a key more", lambda text: document.Edit(0, 0, "x: y\n")),
    ("another quote", lambda text: document.Edit(text.index("host: x") + 6, text.index("host: x") + 7, "'x'")),
    ("a number for text", lambda text: document.Edit(text.index("v1"), text.index("v1") + 2, "1.10")),
    ("a new anchor", lambda text: document.Edit(text.index("host: x") + 6, text.index("host: x") + 6, "&a ")),
]


@pytest.mark.parametrize("spoil", [case[1] for case in SPOILED], ids=[case[0] for case in SPOILED])
def test_an_edit_that_would_change_more_is_never_returned(spoil, monkeypatch):
    """The check after the edit holds even if the editor were wrong."""
    real = editor._edits
    monkeypatch.setattr(editor, "_edits", lambda *given: [*real(*given), spoil(BASE)])
    with pytest.raises(DocumentError, match=r"more than|same characters"):
        edit(BASE, Wish("replicas", 3)) if "1.10" not in spoil(BASE).text else edit(BASE, TAG)


# Properties

NAME = st.from_regex(r"[a-z][a-z0-9./-]{0,5}[a-z]", fullmatch=True).filter(reads_as_string)
TEXT = st.text(alphabet=st.characters(exclude_categories=("C", "Zl", "Zp", "Zs")) | st.just(" "), max_size=12).filter(
    str.isprintable
)
VALUE = st.one_of(TEXT, st.integers(-(10**6), 10**6), st.booleans())
LINES = st.sampled_from(["", "# between", "  # x: y"])


def written(draw, value, in_flow):
    """Write a scalar in any of the ways people do."""
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    style = draw(st.sampled_from(["'", '"', ""]))
    if style == "" and value and value.isalnum() and value.isascii() and reads_as_string(value):
        return value
    return yaml.dump(value, default_style="'" if style == "'" else '"', width=10**6, allow_unicode=True).strip()


@st.composite
def files(draw):
    """A file of nested mappings and lists, in any mixture of styles, with comments; and the places in it."""
    places, lines = [], ["# top"]

    def fill(place, indent, depth):
        names = draw(st.lists(NAME, min_size=1, max_size=3, unique=True))
        for name in names:
            here, lead = (*place, name), " " * indent
            kind = draw(st.sampled_from(["scalar", "scalar", "map", "list", "flow"] if depth < 3 else ["scalar"]))
            note = draw(st.sampled_from(["", "  # note: x"]))
            if kind == "scalar":
                lines.append("%s%s: %s%s" % (lead, name, written(draw, draw(VALUE), False), note))
                places.append(here)
            elif kind == "flow":
                lines.append("%s%s: {a: %s, b: [%s]}%s" % (
                    lead, name, written(draw, draw(VALUE), True), written(draw, draw(VALUE), True), note,
                ))  # fmt: skip
                places.extend([(*here, "a"), (*here, "b", 0)])
            elif kind == "list":
                lines.append("%s%s:%s" % (lead, name, note))
                lines.append("%s- %s" % (lead, written(draw, draw(VALUE), False)))
                lines.append("%s- k: %s" % (lead, written(draw, draw(VALUE), False)))
                places.extend([(*here, 0), (*here, 1, "k")])
            else:
                lines.append("%s%s:%s" % (lead, name, note))
                fill(here, indent + draw(st.integers(1, 4)), depth + 1)
            lines.extend(draw(st.lists(LINES, max_size=1)))

    fill((), 0, 0)
    text = draw(st.sampled_from(["\n", "\r\n"])).join(lines)
    return places, draw(st.sampled_from(["", "\ufeff"])) + text + draw(st.sampled_from(["", "\n"]))


def at(tree, place):
    for part in place:
        tree = tree[part]
    return tree


def put(tree, place, value):
    changed = copy.deepcopy(tree)
    at(changed, place[:-1])[place[-1]] = value
    return changed


@settings(max_examples=300, deadline=None)
@given(files(), st.data())
def test_whatever_the_style_exactly_one_value_changes(case, data):
    places, text = case
    place, value = data.draw(st.sampled_from(places)), data.draw(VALUE)
    loaded = yaml.safe_load(text.lstrip("\ufeff"))
    after = edit(text, Wish(format_key(place), value))
    changed = yaml.safe_load(after.lstrip("\ufeff"))
    assert changed == put(loaded, place, value)
    assert type(at(changed, place)) is type(value)
    assert edit(after, Wish(format_key(place), value)) == after
    # Outside of the value the bytes are equal: what is left and right of it frames it in both texts.
    left = next((n for n, pair in enumerate(zip(text, after)) if pair[0] != pair[1]), min(len(text), len(after)))
    assert "\n" not in text[left : len(text) - _common_end(text[left:], after[left:])]
    outcome = set_values(text.encode(), [Wish(format_key(place), value)])
    back = set_values(outcome.data, restored(outcome)).data.decode()
    assert yaml.safe_load(back.lstrip("\ufeff")) == loaded


def _common_end(left, right):
    count = 0
    while count < min(len(left), len(right)) and left[-1 - count] == right[-1 - count]:
        count += 1
    return count


@settings(max_examples=200, deadline=None)
@given(files(), NAME, VALUE, st.data())
def test_a_created_key_is_added_and_nothing_else(case, name, value, data):
    places, text = case
    holder = data.draw(st.sampled_from([place[:-1] for place in places if isinstance(place[-1], str)] or [()]))
    loaded = yaml.safe_load(text.lstrip("\ufeff"))
    if name in at(loaded, holder):
        return
    outcome = set_values(text.encode(), [Wish(format_key((*holder, name)), value, create=True)])
    changed = yaml.safe_load(outcome.data.decode().lstrip("\ufeff"))
    assert changed == put(loaded, (*holder, name), value)
    back = set_values(outcome.data, restored(outcome)).data.decode()
    assert yaml.safe_load(back.lstrip("\ufeff")) == loaded


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!#|>'\"%@,? \n\t\r\ufeff\x85\u2028é\U0001f680", max_size=60))
def test_any_text_is_edited_or_refused_but_never_crashes(text):
    for source in (text, "b: c\na: " + text):
        try:
            after = edit(source, Wish("a", "v2"))
        except DocumentError:
            continue
        assert yaml.load(after.lstrip("\ufeff"), Loader=yaml.CSafeLoader)["a"] == "v2"
