# SPDX-License-Identifier: BSD-3-Clause
"""The dependency closure finds the libraries that ld.so finds, in its order: a folder for each rule of the search."""

import os
import pathlib

import pytest
from support import BUILD, ROOT, call

RULES = sorted(path.parent for path in pathlib.Path(__file__).parent.glob("[0-9]*/rule.sh"))
PROBE = [BUILD / f"obj/tests/elf/{name}.o" for name in ("closure_probe", "probe")]


def link_words():
    """A second namespace cannot hold a sanitizer's runtime, so there the closure is linked in."""
    if not os.environ.get("SANITIZE"):
        return PROBE
    return [*PROBE, *sorted((BUILD / "obj/preload/elf").glob("*.o")), "-lelf", f"-fsanitize={os.environ['SANITIZE']}"]


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_rule(rule):
    if os.environ.get("SANITIZE") and "\nplain_only=1" in (rule / "rule.sh").read_text():
        pytest.skip("a sanitizer's runtime changes what ld.so does")
    done = call(ROOT / "tests/elf/run_rule", rule.name, BUILD / "libfastimport-elf.so", *link_words(), cwd=ROOT, env={**os.environ, "B": str(BUILD)})
    assert done.returncode == 0, done.stdout + done.stderr
