# SPDX-License-Identifier: BSD-3-Clause
"""The command `fastimport`: run, check, report, plan, and their help."""

import json
import os
import re
import shutil

import pytest
from job import IMPORTS, LIBRARY, MPIEXEC, PYTHON, run
from support import BUILD

COMMAND = BUILD / "fastimport"
SUBCOMMANDS = ["run", "check", "report", "plan"]

needs_job = pytest.mark.needs("mpiexec.mpich", "environment")


def fastimport(*words, timeout=120, env=None, cwd=None):
    """Runs the command in an environment without FASTIMPORT variables, but those of env."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("FASTIMPORT") and k != "LD_PRELOAD"}
    return run([COMMAND, *words], timeout, env={**plain, **(env or {})}, cwd=cwd)


def fake(scratch, name):
    """A launcher of this name that prints its words and the variables that matter."""
    path = scratch / name
    path.write_text('#!/bin/sh\necho "words $*"\nenv | grep -E "^(LD_PRELOAD|FASTIMPORT|SLURM_EXPORT)"\nexit 7\n')
    path.chmod(0o755)
    return path


# --- help -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], *([name] for name in SUBCOMMANDS)])
def test_each_command_has_a_help_of_80_columns(words):
    done = fastimport(*words, "--help")
    assert done.returncode == 0 and not done.stderr and done.stdout.startswith(f"Usage: {' '.join(['fastimport', *words])} ")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_wrong_usage_is_said_and_has_status_2():
    for words in ([], ["bogus"], ["run"], ["report"], ["plan"], ["plan", "bogus"], ["plan", "merge", "x"], ["run", "--bogus", "x"]):
        done = fastimport(*words)
        assert done.returncode == 2 and not done.stdout and done.stderr.startswith("fastimport"), (words, done)


def test_it_says_its_version():
    assert fastimport("--version").stdout == f"fastimport {(BUILD / 'version').read_text()}"


# --- run ------------------------------------------------------------------------------------------------------------


def test_run_sets_the_variables_of_the_program_only(scratch):
    launcher = fake(scratch, "launcher")
    done = fastimport("run", "--report=stderr", "--log", "warn", "--plan=off", "--", launcher, "-n", "2", "--report=x", env={"LD_PRELOAD": "/old.so"})
    assert done.returncode == 7, done
    assert set(done.stdout.splitlines()) == {"words -n 2 --report=x", f"LD_PRELOAD={LIBRARY}:/old.so", "FASTIMPORT_REPORT=stderr",
                                             "FASTIMPORT_LOG=warn", "FASTIMPORT_PLAN=off"}
    assert "FASTIMPORT_LOG=info" in fastimport("run", "--", launcher).stdout and "FASTIMPORT_LOG" not in fastimport("run", "-q", "--", launcher).stdout


def test_run_prints_what_it_would_start(scratch):
    done = fastimport("run", "-n", "--log=info", scratch / "nothing", "-n", "2")
    assert done.stdout == f"LD_PRELOAD={LIBRARY} FASTIMPORT_LOG=info {scratch}/nothing -n 2\n" and done.returncode == 0, done


@pytest.mark.parametrize("words, expected", [
    ([], "-n 2"),
    (["--export=ALL"], "--export=ALL -n 2"),
    (["--export=ALL,A=1"], "--export=ALL,A=1 -n 2"),
    (["--export=NONE"], "--export=FASTIMPORT_LOG,LD_PRELOAD -n 2"),
    (["--export", "HOME,PATH"], "--export HOME,PATH,FASTIMPORT_LOG,LD_PRELOAD -n 2"),
])
def test_srun_hands_the_variables_on(scratch, words, expected):
    done = fastimport("run", "--log=info", "--", fake(scratch, "srun"), *words, "-n", "2")
    assert sorted(re.split("[ ,=]", done.stdout.splitlines()[0])) == sorted(re.split("[ ,=]", f"words {expected}")), done


def test_srun_hands_the_variables_on_that_a_variable_forbids(scratch):
    done = fastimport("run", "--", fake(scratch, "srun"), env={"FASTIMPORT_LOG": "info", "SLURM_EXPORT_ENV": "NONE"})
    assert "SLURM_EXPORT_ENV=FASTIMPORT_LOG,LD_PRELOAD" in done.stdout.splitlines(), done


@pytest.mark.parametrize("option", ["-genvnone", "-envlist", "--genvlist=A"])
def test_mpiexec_hands_the_variables_on(scratch, option):
    plain = fastimport("run", "--", fake(scratch, "mpiexec.hydra"), "-n", "2")
    assert plain.stdout.startswith("words -n 2\n"), plain
    done = fastimport("run", "--log=info", "--", fake(scratch, "mpiexec.hydra"), option, "-n", "2")
    assert f"-genv LD_PRELOAD {LIBRARY}" in done.stdout and f"-genv FASTIMPORT_LOG info" in done.stdout and done.stdout.splitlines()[0].endswith(f"{option} -n 2")


def test_run_says_what_is_wrong(scratch):
    done = fastimport("run", "--", scratch / "nothing")
    assert done.returncode == 127 and done.stderr == f"fastimport: cannot start {scratch}/nothing: No such file or directory\n", done
    (scratch / "text").write_text("no library")
    assert "is no libfastimport.so" in fastimport("run", f"--library={scratch}/text", "--", "true").stderr
    assert "No such file" in fastimport("run", f"--library={scratch}/none", "--", "true").stderr
    (scratch / "a b").mkdir()
    for name in ("fastimport", "libfastimport.so"):
        shutil.copy(BUILD / name, scratch / "a b")
    assert "no path with blanks" in run([scratch / "a b/fastimport", "run", "--", "true"], 20).stderr


@needs_job
def test_run_serves_a_job(scratch):
    done = fastimport("run", "-q", "--fs=all", "--plan=off", f"--report={scratch}/r.json", "--", MPIEXEC, "-n", "2", PYTHON, "-c", IMPORTS)
    assert done.returncode == 0 and not done.stderr, done
    assert json.loads((scratch / "r.json").read_text())["active"]


# --- check ----------------------------------------------------------------------------------------------------------


def findings(done):
    """{topic: (finding, text)} of the output of `fastimport check`."""
    lines = [re.fullmatch(r"(ok|note|WRONG) +([a-zA-Z]+) +(.+)", line) for line in done.stdout.splitlines()]
    assert all(lines) and not done.stderr, done
    return {line[2]: (line[1], line[3]) for line in lines}


@needs_job
def test_check_is_content_where_all_is_well(scratch):
    done = fastimport("check", "-p", PYTHON, "--", MPIEXEC, "-n", "2", env={"FASTIMPORT_FS": "all", "XDG_CACHE_HOME": str(scratch)})
    found = findings(done)
    assert done.returncode == 0 and {finding for finding, _ in found.values()} == {"ok"}, done.stdout
    assert list(found) == ["library", "variables", "environment", "MPI", "cache", "memory", "plan", "job"]
    assert "MPICH" in found["MPI"][1] and "ld.so finds it" in found["MPI"][1] and "2 ranks on 1 node" in found["job"][1]


@needs_job
@pytest.mark.parametrize("topic, words, env, told", [
    ("environment", [], {"FASTIMPORT_FS": "net"}, "a local file system: there is nothing to serve"),
    ("environment", ["-p", "/nosuch"], {}, "no Python is found: /nosuch"),
    ("environment", ["-p", "/bin/true"], {}, "is no Python"),
    ("variables", [], {"FASTIMPORT_RAPORT": "x"}, "did you mean FASTIMPORT_REPORT?"),
    ("variables", [], {"FASTIMPORT": "0"}, "unset FASTIMPORT"),
    ("variables", [], {"FASTIMPORT_WAIT_MS": "soon"}, "FASTIMPORT_WAIT_MS=soon is not milliseconds"),
    ("MPI", [], {"FASTIMPORT_MPI": "/nosuch/libmpi.so"}, "/nosuch/libmpi.so: cannot open shared object file"),
    ("cache", [], {"FASTIMPORT_DIR": "/nosuch"}, "No such file or directory: set FASTIMPORT_DIR"),
    ("cache", [], {"FASTIMPORT_DIR": "/usr"}, "is not in memory"),
    ("plan", [], {"XDG_CACHE_HOME": "/proc/sys"}, None),
    ("plan", [], {"FASTIMPORT_PLAN": "use:/nosuch"}, "it cannot be read"),
    ("job", ["--", "false"], {}, "false started no rank (exit status 1)"),
    ("job", ["--", "/nosuch/srun"], {}, "/nosuch/srun: No such file or directory"),
])
def test_check_names_what_is_wrong(topic, words, env, told):
    words = words if "-p" in words else ["-p", PYTHON, *words]
    done = fastimport("check", *words, env={"FASTIMPORT_FS": "all", **env})
    if told is None and findings(done)[topic][0] == "ok":
        pytest.skip("root may write anywhere here")
    assert done.returncode == 1 and findings(done)[topic][0] == "WRONG" and (told or "") in findings(done)[topic][1], done.stdout


@needs_job
def test_check_sees_a_network_file_system(network):
    mount, _ = network
    os.makedirs(mount / "env/bin")
    (mount / "env/bin/python3").symlink_to(os.path.realpath(PYTHON))
    (mount / "env/pyvenv.cfg").write_text(f"home = {os.path.dirname(os.path.realpath(PYTHON))}\n")
    finding, text = findings(fastimport("check", env={"PATH": f"{mount}/env/bin:{os.environ['PATH']}"}))["environment"]
    assert finding == "ok" and f"{mount}/env" in text and "is on fuse" in text, text


@needs_job
def test_check_sees_ranks_without_the_library(scratch):
    """As on a compute node on which the library is not installed."""
    launcher = scratch / "launcher"
    launcher.write_text(f'#!/bin/sh\nexec {MPIEXEC} -n 1 env -u LD_PRELOAD "$@"\n')
    launcher.chmod(0o755)
    done = fastimport("check", "-p", PYTHON, "--", launcher, "env")
    assert "1 of 1 ranks run without the library, such as on node" in findings(done)["job"][1], done.stdout


# --- report ---------------------------------------------------------------------------------------------------------


@needs_job
def test_report_prints_and_compares(scratch):
    for name, fs in (("a", "all"), ("b", "net")):
        fastimport("run", f"--fs={fs}", f"--plan={scratch}/plan", f"--report={scratch}/{name}", "--", MPIEXEC, "-n", "2", PYTHON, "-c", "import json")
    report = json.loads((scratch / "a").read_text())
    done = fastimport("report", "a", cwd=scratch)
    assert done.returncode == 0 and re.search(rf"^  operations +{report['answers']['operations']['with']}$", done.stdout, re.M), done.stdout
    done = fastimport("report", "a", "b", cwd=scratch)
    assert re.search(r"^was it active\? +yes +no$", done.stdout, re.M), done.stdout
    assert re.search(r"^b: nothing was served: nothing of this program is on a network", done.stdout, re.M), done.stdout
    assert max(map(len, done.stdout.splitlines()[:20])) <= 80


def test_report_refuses_what_is_none(scratch):
    for text, told in (("{", "'}' expected"), ("[]", "this is no report"), ('{"format": 99}', "newer fastimport"), ('{"format": "\\u001b"}', "no report")):
        (scratch / "r").write_text(text)
        done = fastimport("report", scratch / "r")
        assert done.returncode == 1 and told in done.stderr + "'}' expected" * ("}" in done.stderr) and not done.stdout, done
    assert "No such file" in fastimport("report", scratch / "none").stderr


def test_report_does_not_control_a_terminal(scratch):
    (scratch / "r").write_text('{"format": 1, "active": false, "why": "\\u001b]0;x\\u0007", "mpi": "\\u001b[2J"}')
    done = fastimport("report", scratch / "r")
    assert done.returncode == 0 and "?]0;x?" in done.stdout and "\x1b" not in done.stdout


# --- plan -----------------------------------------------------------------------------------------------------------


def record(scratch, name, text):
    done = fastimport("run", "-q", "--fs=all", f"--plan=record:{scratch}/{name}", "--", MPIEXEC, "-n", "1", PYTHON, "-c", text)
    assert done.returncode == 0 and not done.stderr, done


def names(plan):
    done = fastimport("plan", "show", "--list", plan)
    assert done.returncode == 0, done
    return {line.split(maxsplit=1)[1] for line in done.stdout.splitlines()[1:]}


@needs_job
def test_plans_are_shown_merged_and_dropped(scratch):
    record(scratch, "one", "import decimal")
    record(scratch, "two", "import sqlite3")
    one, two = names(scratch / "one"), names(scratch / "two")
    assert any("decimal" in name for name in one - two) and any("sqlite3" in name for name in two - one)
    assert fastimport("plan", "merge", "-o", scratch / "both", scratch / "one", scratch / "two").returncode == 0
    assert names(scratch / "both") == one | two
    shown = fastimport("plan", "show", scratch / "one", scratch / "two", scratch / "both").stdout
    keys, sizes = re.findall(r"environment (\w+), (\d+) names", shown), None
    assert len({key for key, _ in keys}) == 1 and int(keys[2][1]) < int(keys[0][1]) + int(keys[1][1])
    # the merged plan is one that a job uses
    done = fastimport("run", "-q", "--fs=all", f"--plan=use:{scratch}/both", f"--report={scratch}/r", "--", MPIEXEC, "-n", "1", PYTHON, "-c", "import decimal")
    plan = json.loads((scratch / "r").read_text())["plan"]
    assert done.returncode == 0 and not done.stderr and plan["entries"] == int(keys[2][1]) and plan["used"] > 10, (done, plan)
    assert fastimport("plan", "drop", scratch / "both").returncode == 0 and not (scratch / "both").exists()


@needs_job
def test_plans_of_two_environments_are_not_merged(scratch):
    record(scratch, "one", "pass")
    done = fastimport("run", "-q", "--fs=all", f"--plan=record:{scratch}/two", "--", MPIEXEC, "-n", "1", PYTHON, "-c", "pass", env={"PYTHONHOME": os.path.dirname(os.path.dirname(os.path.realpath(PYTHON)))})
    if not (scratch / "two").exists():
        pytest.skip(f"no second environment: {done.stderr}")
    done = fastimport("plan", "merge", "-o", scratch / "both", scratch / "one", scratch / "two")
    assert done.returncode == 1 and "another environment" in done.stderr and not (scratch / "both").exists(), done


def test_only_plans_are_dropped(scratch):
    (scratch / "precious").write_text("text")
    done = fastimport("plan", "drop", scratch / "precious")
    assert done.returncode == 1 and "it is no plan" in done.stderr and (scratch / "precious").exists()


def test_plans_of_the_default_directory(scratch):
    home = {"XDG_CACHE_HOME": str(scratch)}
    assert fastimport("plan", "show", env=home).stdout == f"no plans in {scratch}/fastimport\n"
    (scratch / "fastimport").mkdir()
    for name in ("a.plan", "b.plan", "other"):
        (scratch / "fastimport" / name).write_text("damaged")
    assert fastimport("plan", "show", env=home).stderr.count("it is no plan") == 2
    assert fastimport("plan", "drop", env=home).returncode == 0 and os.listdir(scratch / "fastimport") == ["other"]
