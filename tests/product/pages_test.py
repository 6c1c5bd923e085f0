# SPDX-License-Identifier: BSD-3-Clause
"""Pages for users are true: what they say of options, variables and messages is what the programs say."""

import re

import pytest
from support import BUILD, ROOT, call

DOC = ROOT / "preload/doc"
MAN = sorted((DOC / "man").iterdir())

# How config.c and SETTINGS.md say the same default.
SAME = {"no report": "none", "the one that is found": "found", "the default": "see there"}


def variables_of_config():
    """{name: default} of the table in config.c."""
    text = (ROOT / "preload/process/config.c").read_text()
    table = re.search(r"static const struct option options\[\] = \{(.*?)\n\};", text, re.S)[1]
    return {name: fallback for name, fallback in re.findall(r'\{"(FASTIMPORT\w*)",.*?"([^"]*)"\}', table, re.S)}


def test_settings_has_every_variable_with_its_default():
    section = re.search(r"^## Variables\n(.*?)^## ", (ROOT / "preload/SETTINGS.md").read_text(), re.S | re.M)[1]
    said = {name: default.strip("`") for name, default in re.findall(r"^\| `([A-Z_]+)` \|.*\| (.*?) \|$", section, re.M)}
    expected = {name: SAME.get(default, default) for name, default in variables_of_config().items()}
    assert len(expected) > 10 and said == expected


def test_man_pages_are_what_help_and_settings_say():
    done = call(DOC / "update-man", BUILD, "--check")
    assert done.returncode == 0, f"run {DOC}/update-man build\n{done.stdout}{done.stderr}"
    assert all(f".B {name}" in text or f"\\fB{name}\\fR" in text for name in variables_of_config() for text in [(DOC / "man/fastimport.7").read_text()])


@pytest.mark.needs("man")
@pytest.mark.parametrize("page", MAN, ids=lambda page: page.name)
def test_man_shows_each_page_without_warnings(page):
    done = call("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page, env={"LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0 and not done.stderr and len(done.stdout) > 1000, done.stderr


def test_there_is_a_page_for_each_program():
    assert [page.name for page in MAN] == ["fastimport.1", "fastimport.7", "python-mpi-bcast.1"]


def test_messages_are_complete_and_say_what_to_do():
    done = call(DOC / "update-messages", "--check")
    assert done.returncode == 0, f"run {DOC}/update-messages, and say what to do\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(ROOT.glob("preload/**/*.md")), *sorted(ROOT.glob("bcast-tool/*.md"))], ids=lambda page: page.name)
def test_links_of_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
