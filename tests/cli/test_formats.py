"""`--format` and `-o`: the same formats in every command that prints a result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.commands import run

COMMANDS = {
    "check": ["check", "mazur"],
    "check several": ["check", "mazur", "gashler", "yehoshua"],
    "gradients": ["check", "gradients", "mazur"],
    "notation": ["notation"],
    "diagnose": ["diagnose", "mazur"],
    "trace": ["trace", "mazur"],
    "derive": ["derive", "--layers", "2", "--weight", "1,2,1"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_format_on_stdout_and_in_a_file(command: list[str]) -> None:
    expected = run(*command).exit_code
    for form, suffix in (
        ("text", "txt"),
        ("markdown", "md"),
        ("html", "html"),
        ("latex", "tex"),
        ("json", "json"),
    ):
        shown = run(*command, "--format", form)
        written = run(*command, "-o", f"out.{suffix}")
        assert shown.exit_code == written.exit_code == expected
        assert written.stdout == ""
        assert f"{form} in out.{suffix}" in written.stderr
        text = Path(f"out.{suffix}").read_text("utf-8")
        if form == "latex":
            assert text.startswith(r"\documentclass")
            whole = command[0] == "derive"  # on stdout too
            assert shown.stdout.startswith(r"\documentclass") == whole
        else:
            assert text == shown.stdout
        if form == "json":
            json.loads(text)


def test_text_is_the_default_and_json_has_an_option_of_its_own() -> None:
    assert run("check", "mazur").stdout == run("check", "mazur", "--format", "text").stdout
    as_json = run("check", "mazur", "--json").stdout
    assert as_json == run("check", "mazur", "--format", "json").stdout
    assert as_json.count("\n") == 1


def test_a_page_of_several_files_holds_each_report() -> None:
    page = run("check", "mazur", "yehoshua", "--format", "html").stdout
    assert page.count("<!doctype") == 1
    assert page.count("<h1>") == 2
    assert '<span class="soft">yehoshua</span>' in page


def test_files_that_cannot_be_read_are_told_and_the_others_written() -> None:
    done = run("check", "absent.json", "mazur", "-o", "out.json")
    assert done.exit_code == 1
    told = json.loads(Path("out.json").read_text())
    assert ["error" in one for one in told["files"]] == [True, False]
    assert "absent.json" in done.stderr


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_name_that_ends_in_something_else_is_refused(command: list[str]) -> None:
    done = run(*command, "-o", "out.pdf")
    assert done.exit_code == 1
    assert "--output out.pdf: the name must end in .json, .html" in done.stderr
    assert not Path("out.pdf").exists()
    assert run(*command, "-o", "out").stderr.startswith("text in out")
    assert run(*command, "-o", "out.pdf", "--format", "latex").stderr.startswith("latex in")


def test_a_file_that_is_read_is_not_written() -> None:
    Path("sheet.json").write_text("{}")
    done = run("check", "sheet.json", "-o", "sheet.json")
    assert done.exit_code == 1
    assert "would be overwritten" in done.stderr
    assert Path("sheet.json").read_text() == "{}"
