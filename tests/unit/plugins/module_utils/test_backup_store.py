# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of backups: private, atomic under kill -9, and suspicious of everything that it reads."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._backup import files as files_module
from ansible_collections.slipway.gitops.plugins.module_utils._backup.age import Age
from ansible_collections.slipway.gitops.plugins.module_utils._backup.files import DirectoryStore, folder_of
from ansible_collections.slipway.gitops.plugins.module_utils._backup.model import SUMS, digest
from ansible_collections.slipway.gitops.plugins.module_utils._backup.reader import open_backup, problems_of
from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    CorruptError,
    InvalidInput,
    NotFound,
    PermanentError,
    SlipwayError,
)
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.backup_support import PLACE, Bench, thing
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.process_support import in_child

NAME = "20261121T114500Z-1"
#: The calls between which a run can be killed.
CALLS = ("open", "mkdir", "fsync", "rename", "unlink", "rmdir")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_folders_and_files_are_the_owners_alone(bench: Bench, open_umask: None) -> None:
    bench.run()
    for path in [Path(bench.store.root), *Path(bench.store.root).rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_checksums_are_those_of_sha256sum(bench: Bench) -> None:
    folder = bench.folder(bench.run()["backup"]["name"])
    for line in (folder / SUMS).read_text().splitlines():
        value, name = line.split("  ")
        assert digest((folder / name).read_bytes()) == value
    assert len((folder / SUMS).read_text().splitlines()) == len(list(folder.iterdir())) - 1


def killed_at(number: int, work: Callable[[], Any]) -> bool:
    """Do work in a child that is killed before its system call ``number``; False when it came to its end."""
    left = [number]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return counting

    def mortal() -> None:
        for name in CALLS:
            setattr(files_module.os, name, counted(getattr(os, name)))
        work()

    _pid, status = os.waitpid(in_child(mortal), 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_kill_9_at_any_point_leaves_no_half_backup(bench: Bench) -> None:
    """One child for each system call of making a backup that replaces an older one."""
    bench.run(release="old")
    points = 0
    while killed_at(points, lambda: bench.run(release="new", keep_last=1)):
        names = bench.store.names(PLACE)
        assert names, "the old backup went before there was a new one"
        for name in names:
            open_backup(bench.store, PLACE, name)
        points += 1
    assert points > 20
    newest = bench.run(release="last", keep_last=1)["backup"]["name"]
    assert sorted(path.name for path in bench.folder("").iterdir()) == [".lock", newest]


def test_backups_made_at_once_do_not_meet(bench: Bench) -> None:
    """Eight processes in one second: eight names, eight whole backups."""
    children = [in_child(bench.run) for _number in range(8)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    names = bench.store.names(PLACE)
    assert len(names) == 8
    for name in names:
        open_backup(bench.store, PLACE, name)


def test_next_run_clears_what_a_killed_one_left(bench: Bench) -> None:
    bench.run()
    left = bench.folder(".unfinished-20261121T114500Z-9")
    (left / "inner").mkdir(parents=True)
    (left / "inner/live.json").write_text("{")
    (left / "link").symlink_to("/etc")
    assert len(bench.store.names(PLACE)) == 1
    bench.run()
    assert not left.exists()
    assert Path("/etc").is_dir()


def test_full_disk_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    name = bench.run()["backup"]["name"]
    monkeypatch.setattr(files_module.os, "fsync", refuse)
    with pytest.raises(PermanentError) as caught:
        bench.run()
    assert caught.value.code == "disk_full"
    monkeypatch.undo()
    assert sorted(path.name for path in bench.folder("").iterdir()) == [".lock", name]


def _link_root(root: Path, elsewhere: Path) -> None:
    root.symlink_to(elsewhere)


def _link_app(root: Path, elsewhere: Path) -> None:
    root.mkdir(mode=0o700)
    (root / PLACE.app).symlink_to(elsewhere)


def _link_environment(root: Path, elsewhere: Path) -> None:
    (root / PLACE.app).mkdir(mode=0o700, parents=True)
    (root / PLACE.app / PLACE.environment).symlink_to(elsewhere)


def _file_in_the_way(root: Path, elsewhere: Path) -> None:
    root.mkdir(mode=0o700)
    (root / PLACE.app).write_text("x")


def _others_may_write(root: Path, elsewhere: Path) -> None:
    root.mkdir()
    root.chmod(0o777)


@pytest.mark.parametrize("prepare", [_link_root, _link_app, _link_environment, _file_in_the_way, _others_may_write])
def test_store_that_others_could_have_prepared_is_refused(bench: Bench, tmp_path: Path, prepare: Any) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    prepare(Path(bench.store.root), elsewhere)
    with pytest.raises(InvalidInput) as caught:
        bench.run()
    assert caught.value.option == "path"
    assert list(elsewhere.iterdir()) == []


def test_planted_lock_that_is_a_link_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    bench.run()
    lock, target = bench.folder(".lock"), tmp_path / "target"
    lock.unlink()
    lock.symlink_to(target)
    with pytest.raises(SlipwayError):
        bench.run()
    assert not target.exists()


def rewritten(folder: Path, file: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a file of a backup and make all checksums right again, as an attacker would."""
    document = json.loads((folder / file).read_bytes())
    change(document)
    (folder / file).write_text(json.dumps(document))
    resum(folder)


def resum(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name in manifest["files"]:
        manifest["files"][name] = {"sha256": digest((folder / name).read_bytes()), "size": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    names = ["manifest.json", *manifest["files"]]
    (folder / SUMS).write_text("".join("%s  %s\n" % (digest((folder / n).read_bytes()), n) for n in sorted(names)))


def add(**item: Any) -> Callable[[Path], None]:
    """Return a change that adds an object to the live ones."""

    def change(folder: Path) -> None:
        rewritten(folder, "live.json", lambda document: document["items"].append(dict(item)))

    return change


def manifest_says(**fields: Any) -> Callable[[Path], None]:
    return lambda folder: rewritten(folder, "manifest.json", lambda document: document.update(fields))


def sums_say(line: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / SUMS).open("a") as stream:
            stream.write(line + "\n")

    return change


def swapped(make: Callable[[Path], None], file: str = "live.json") -> Callable[[Path], None]:
    """Return a change that puts something else in the place of a file."""

    def change(folder: Path) -> None:
        kept = folder.parents[3] / "kept"
        (folder / file).rename(kept)
        make(folder / file)

    return change


def _hard_link(path: Path) -> None:
    os.link(path.parents[4] / "kept", path)


def _nested(folder: Path) -> None:
    (folder / "live.json").write_text('{"items":' + "[" * 200_000 + "]" * 200_000 + "}")
    resum(folder)


def _flip(file: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = bytearray((folder / file).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / file).write_bytes(bytes(data))

    return change


def _foreign_application(folder: Path) -> None:
    rewritten(folder, "argocd.json", lambda document: document["items"][1]["metadata"].update(name="other"))


DIGEST = "0" * 64
#: Everything that a hostile or damaged backup may be.
CORPUS = {
    "bit flipped in live.json": _flip("live.json"),
    "bit flipped in manifest.json": _flip("manifest.json"),
    "bit flipped in the checksums": _flip(SUMS),
    "file missing": lambda folder: (folder / "live.json").unlink(),
    "manifest missing": lambda folder: (folder / "manifest.json").unlink(),
    "checksums missing": lambda folder: (folder / SUMS).unlink(),
    "file too many": lambda folder: (folder / "extra.sh").write_text("x"),
    "folder too many": lambda folder: (folder / "extra").mkdir(),
    "absolute path": sums_say(DIGEST + "  /etc/passwd"),
    "path upwards": sums_say(DIGEST + "  ../../../../etc/passwd"),
    "path with a folder": sums_say(DIGEST + "  a/live.json"),
    "file named twice": sums_say(DIGEST + "  live.json"),
    "unknown file": sums_say(DIGEST + "  run.sh"),
    "line that is none": sums_say("\x1b[2J"),
    "link": swapped(lambda path: path.symlink_to(path.parents[4] / "kept")),
    "link to a device": swapped(lambda path: path.symlink_to("/dev/zero")),
    "link upwards": swapped(lambda path: path.symlink_to("../../../../kept")),
    "hard link": swapped(_hard_link),
    "pipe": swapped(os.mkfifo),
    "folder in place of a file": swapped(lambda path: path.mkdir()),
    "manifest is a link": swapped(lambda path: path.symlink_to(path.parents[4] / "kept"), "manifest.json"),
    "not JSON": lambda folder: ((folder / "live.json").write_text("!!python/object:os.system"), resum(folder)),
    "not an object": lambda folder: ((folder / "live.json").write_text("[]"), resum(folder)),
    "deeply nested": _nested,
    "no objects": lambda folder: rewritten(folder, "live.json", lambda document: document.update(items=[])),
    "items no list": lambda folder: rewritten(folder, "live.json", lambda document: document.update(items={"a": 1})),
    "item no object": lambda folder: rewritten(folder, "live.json", lambda document: document.update(items=["x"])),
    "newer format": manifest_says(format=2),
    "another application": manifest_says(app="other"),
    "another name": manifest_says(name="20200101T000000Z-1"),
    "no cluster": manifest_says(cluster=None),
    "strange namespace": manifest_says(namespace="../kube-system"),
    "other namespace": manifest_says(namespace="kube-system"),
    "files no mapping": manifest_says(files=[]),
    "names of Secrets no list": manifest_says(secrets={"mode": "excluded", "names": "x"}),
    "name of a Secret is a path": manifest_says(secrets={"mode": "excluded", "names": [{"name": "../x"}]}),
    "object elsewhere": add(**thing("ConfigMap", "x", "kube-system")),
    "object of the whole cluster": add(**thing("ClusterRole", "x", "", "rbac.authorization.k8s.io/v1")),
    "another namespace": add(**thing("Namespace", "kube-system", "")),
    "Secret in the clear": add(**thing("Secret", "x", "shop")),
    "name with a path": add(**thing("ConfigMap", "../../secrets/x", "shop")),
    "namespace with a path": add(**thing("ConfigMap", "x", "shop/../kube-system")),
    "version with a path": add(**thing("ConfigMap", "x", "shop", "v1/namespaces")),
    "kind that is none": add(**thing("config map", "x", "shop")),
    "kind no text": add(**{**thing("ConfigMap", "x", "shop"), "kind": 7}),
    "no metadata": add(apiVersion="v1", kind="ConfigMap"),
    "foreign Application": _foreign_application,
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(CORPUS))
def test_hostile_or_damaged_backup_is_refused(bench: Bench, case: str) -> None:
    name = bench.run()["backup"]["name"]
    open_backup(bench.store, PLACE, name)
    CORPUS[case](bench.folder(name))
    with pytest.raises(CorruptError) as caught:
        open_backup(bench.store, PLACE, name)
    assert "\x1b" not in str(caught.value)
    _raw, problems = problems_of(bench.store, PLACE, name, is_thorough=True)
    assert problems
    with pytest.raises(CorruptError):
        bench.run(state="restored", name=name)
    assert bench.kube.writes == []


def test_folder_that_is_a_link_is_no_backup(bench: Bench, tmp_path: Path) -> None:
    name = bench.run()["backup"]["name"]
    bench.folder(name).rename(tmp_path / "moved")
    bench.folder(name).symlink_to(tmp_path / "moved")
    assert bench.store.names(PLACE) == []
    with pytest.raises(NotFound):
        bench.run(state="restored", name=name)


def test_what_is_no_backup_is_not_listed(bench: Bench) -> None:
    name = bench.run()["backup"]["name"]
    for other in ("notes", "20261121T114500Z-", "20261321T114500Z-1", "x-20261121T114500Z-1", ".unfinished-" + NAME):
        bench.folder(other).mkdir()
    bench.folder("20261121T114500Z-2").write_text("a file")
    assert bench.store.names(PLACE) == [name]


def test_unset_store_is_refused_where_it_would_vanish(tmp_path: Path) -> None:
    inside, root = {"HOME": "/home/x", "AWX_HOST": "https://awx"}, str(tmp_path)
    assert folder_of("/srv/backups", inside, root) == "/srv/backups"
    assert folder_of("", {"HOME": "/home/x"}, root) == "/home/x/.local/state/slipway-gitops/backups"
    with pytest.raises(InvalidInput) as caught:
        folder_of("", inside, root)
    assert caught.value.code == "store_unset"


def program(tmp_path: Path, text: str) -> Age:
    """Return the port on a script in the place of age."""
    path = tmp_path / "age"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o700)
    return Age(str(path), dict(os.environ), lambda _seconds: None)


def test_what_is_not_encrypted_is_never_taken_for_it(tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as caught:
        program(tmp_path, "cat").encrypt(b"clear text", ["age1x"])
    assert caught.value.code == "encryption_failed"


def test_age_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="malformed recipient"):
        program(tmp_path, "cat >/dev/null; echo 'age: error: malformed recipient' >&2; exit 1").encrypt(b"x", ["age1x"])


def test_missing_age_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Install age"):
        Age(str(tmp_path / "none"), {}, lambda _seconds: None).encrypt(b"x", ["age1x"])


def test_identity_that_others_may_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("x")
    key.chmod(0o644)
    with pytest.raises(InvalidInput) as caught:
        program(tmp_path, "cat").decrypt(b"x", str(key))
    assert caught.value.code == "identity_not_private"


def test_store_of_another_user_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run()
    monkeypatch.setattr(files_module.os, "geteuid", lambda: 12345)
    with pytest.raises(InvalidInput, match="we are 12345"):
        DirectoryStore(bench.store.root).places()
