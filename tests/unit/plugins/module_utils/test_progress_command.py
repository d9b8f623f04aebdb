# SPDX-License-Identifier: GPL-3.0-or-later
"""One long command: its progress, its log, its end."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.slipway.gitops.plugins.module_utils import _progress
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry.progress_command import ARGUMENT_SPEC, execute
from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput, PermanentError, SlipwayError


class Operator:
    """Runs the use case as a task would, and remembers what was shown."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.check_mode = False
        self.secret = ""
        self.env = {"PATH": os.environ["PATH"], "WHO": "task"}

    def run(self, argv: list[str], **options: Any) -> dict[str, Any]:
        checked = ArgumentSpecValidator(ARGUMENT_SPEC).validate({"argv": argv, **options})
        assert not checked.error_messages
        context = Context(check_mode=self.check_mode, env=self.env, progress=self.seen.append)
        context.secrets.add(self.secret)
        return execute(checked.validated_parameters, context)

    def python(self, code: str, **options: Any) -> dict[str, Any]:
        return self.run([sys.executable, "-c", code], **options)

    def fails(self, argv: list[str], **options: Any) -> SlipwayError:
        with pytest.raises(SlipwayError) as caught:
            self.run(argv, **options)
        return caught.value


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_result_and_log(operator: Operator, tmp_path: Path) -> None:
    log = tmp_path / "log"
    result = operator.python(
        "import os, sys; print(os.environ['WHO']); print('oops', file=sys.stderr); print(os.getcwd())",
        chdir=str(tmp_path),
        log_path=str(log),
    )
    assert (result["changed"], result["rc"], result["stderr_lines"]) == (True, 0, ["oops"])
    assert result["stdout_lines"] == ["task", str(tmp_path)]
    assert sorted(log.read_text().splitlines()) == sorted(["task", "oops", str(tmp_path)])
    assert log.stat().st_mode & 0o777 == 0o600


def test_progress_shows_title_last_line_and_time(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "EVERY_S", 0.4)
    operator.secret = "hunter22"
    operator.python("import time; print('step 1 hunter22', flush=True); time.sleep(1.2)", title="big job")
    assert operator.seen[0] == "big job: started"
    assert operator.seen[1].startswith("big job: step 1 ********, 0.")
    assert operator.seen[1].endswith(" s so far")
    assert operator.seen[-1].startswith("big job: done in 1.")


@pytest.mark.parametrize(
    "options, runs",
    [
        ({"creates": "there"}, False),
        ({"creates": "th*"}, False),
        ({"creates": "missing"}, True),
        ({"removes": "missing"}, False),
        ({"removes": "the*"}, True),
    ],
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_creates_and_removes(
    operator: Operator, tmp_path: Path, options: dict[str, str], runs: bool, check_mode: bool
) -> None:
    (tmp_path / "there").touch()
    operator.check_mode = check_mode
    result = operator.run(["touch", "ran"], chdir=str(tmp_path), **options)
    assert (result["changed"], result["rc"]) == (runs, 0)
    assert (tmp_path / "ran").exists() == (runs and not check_mode)
    assert (result["msg"] != "") if not runs else True


def test_check_mode_skips(operator: Operator, tmp_path: Path) -> None:
    operator.check_mode = True
    result = operator.run(["touch", str(tmp_path / "ran")])
    assert result["skipped"]
    assert list(tmp_path.iterdir()) == []


def test_failure_shows_the_last_lines_and_the_log(operator: Operator, tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    code = "import sys\nfor i in range(50): print('line', i, file=sys.stderr)\nsys.exit(3)"
    error = operator.fails([sys.executable, "-c", code], title="big job", log_path=log)
    assert error.code == "command_failed"
    assert "big job" in str(error)
    assert "line 49" in str(error)
    assert "line 30" not in str(error)
    assert log in str(error)
    assert error.as_result()["rc"] == 3
    assert len(error.as_result()["stderr_lines"]) == 50


def test_success_codes(operator: Operator) -> None:
    assert operator.python("raise SystemExit(4)", success_codes=[0, 4])["rc"] == 4


def test_timeout(operator: Operator) -> None:
    error = operator.fails([sys.executable, "-c", "import time; print('half', flush=True); time.sleep(30)"], timeout=1)
    assert (error.code, error.as_result()["stdout"]) == ("command_timeout", "half")
    assert "'timeout'" in str(error)


@pytest.mark.parametrize(
    "argv, options, option",
    [
        ([], {}, "argv"),
        ([""], {}, "argv"),
        (["true"], {"timeout": 0}, "timeout"),
        (["true"], {"log_path": "/no/such/folder/log"}, "log_path"),
    ],
)
def test_bad_input(operator: Operator, argv: list[str], options: dict[str, Any], option: str) -> None:
    error = operator.fails(argv, **options)
    assert isinstance(error, InvalidInput)
    assert error.option == option


def test_program_that_is_missing(operator: Operator) -> None:
    error = operator.fails(["no-such-program"])
    assert isinstance(error, PermanentError)
    assert error.code == "command_not_found"
