# SPDX-License-Identifier: BSD-3-Clause
"""The descendants of a rank get right answers, from the node cache where possible. They never start MPI, and may outlive the job."""

import os
import subprocess
import tempfile
import time

import pytest
from job import (BUILD, LIBRARY, MPIEXEC, PYTHON, assert_done, cache_directory, caches, python_job,
                 read_job, script)

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")


def test_exec_in_all_ways(cache_place):
    """fork and exec, posix_spawn, vfork (subprocess). A child with the environment attaches to the node cache; none loads MPI."""
    child = "import json, os; t = open('/proc/self/maps').read(); print('mpich' in t, '/index' in t, len(json.dumps([1])))"
    done = python_job(f"""
        import os, subprocess, sys
        child = {child!r}
        def read(start):
            r, w = os.pipe()
            os.set_inheritable(w, True)
            pid = start(w)
            os.close(w)
            text = os.fdopen(r).read()
            assert os.waitpid(pid, 0)[1] == 0
            return text.strip()
        def forked(environment):
            def start(w):
                pid = os.fork()
                if pid == 0:
                    os.dup2(w, 1)
                    os.execve(sys.executable, [sys.executable, "-c", child], environment)
                return pid
            return read(start)
        def spawned(environment):
            return read(lambda w: os.posix_spawn(sys.executable, [sys.executable, "-c", child], environment,
                                                 file_actions=[(os.POSIX_SPAWN_DUP2, w, 1)]))
        def vforked(environment):
            return subprocess.run([sys.executable, "-c", child], env=environment, capture_output=True, text=True, check=True,
                                  close_fds=False).stdout.strip()
        for way in forked, spawned, vforked:
            got = way(dict(os.environ)), way({{}}), way({{"LD_PRELOAD": os.environ["LD_PRELOAD"]}})
            assert got == ("False True 3", "False False 3", "False False 3"), (way, got)
        os.write(1, b"good\\n")
        """, env={"FASTIMPORT_DIR": cache_place}, timeout=120)
    assert_done(done, "good\n" * 2)
    assert not caches(cache_place), f"left: {caches(cache_place)}"


@pytest.mark.parametrize("rank", [0, 1])
def test_children_are_served(rank):
    """What their rank has read is in the node cache, so that they ask the file system nothing, however they are started."""
    done = read_job(f"""
        import os, reader, subprocess, sys
        reader.read()
        if os.environ["PMI_RANK"] == "{rank}":
            before = reader.operations()
            words = [sys.executable, "-c", "import reader; reader.read()"]
            subprocess.run(words, check=True)
            assert os.waitpid(os.posix_spawn(words[0], words, os.environ), 0)[1] == 0
            for then in reader.read, lambda: os.execv(words[0], words):
                pid = os.fork()
                if pid == 0:
                    then()
                    os._exit(0)
                assert os.waitpid(pid, 0)[1] == 0
            children = reader.operations() - before
            subprocess.run(words, check=True, env={{"PYTHONPATH": os.environ["PYTHONPATH"]}})
            print(children, reader.operations() - before > children)
        """)
    assert_done(done, "0 True\n")


@pytest.mark.parametrize("start", ["run", "spawn", "fork", "multiprocessing"])
def test_children_ask(start):
    """What no rank has read the children of all ranks get through the service, too: the file system is asked once for all."""
    done = read_job(f"""
        import os, reader, subprocess, sys, multiprocessing
        from mpi4py import MPI
        comm = MPI.COMM_WORLD
        words = [sys.executable, "-c", "import reader; reader.read()"]
        def fork():
            pid = os.fork()
            if pid == 0:
                reader.read()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        def in_pool():
            with multiprocessing.get_context("fork").Pool(3) as pool:
                pool.apply(reader.read)
        ways = {{
            "run": lambda: subprocess.run(words, check=True),
            "spawn": lambda: os.waitpid(os.posix_spawn(words[0], words, os.environ), 0),
            "fork": fork,
            "multiprocessing": in_pool,
        }}
        before = reader.operations()
        comm.barrier()
        ways["{start}"]()
        comm.barrier()
        served = reader.operations() - before
        comm.barrier()
        if comm.rank == 0:
            subprocess.run(words, check=True, env={{"PYTHONPATH": os.environ["PYTHONPATH"]}})
            plain = reader.operations() - before - served
            os.write(1, b"good\\n" if 0 < served < 1.2 * plain else f"{{served}} of {{plain}}\\n".encode())
        """, ranks=4)
    assert_done(done, "good\n")


@pytest.mark.parametrize("place, served", [("/dev/shm", "net"), ("/nonexistent", "all")])
def test_children_where_nothing_is_served(place, served, scratch):
    """They must not start MPI in their rank's slot, also where no PMI descriptor tells them that they are children (-pmi-port), nor make a cache."""
    app = script(scratch, """
        import os, subprocess, sys
        child = subprocess.run([sys.executable, "-c", "import json; print(json.dumps(1))"], capture_output=True, text=True, check=True)
        assert (child.stdout, child.stderr) == ("1\\n", ""), child
        os.write(1, b"good\\n")
        """)
    done = subprocess.run([MPIEXEC, "-pmi-port", "-n", "2", "env", f"LD_PRELOAD={LIBRARY}", f"FASTIMPORT_DIR={place}", f"FASTIMPORT_FS={served}",
                           PYTHON, app],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == "good\n" * 2, f"{place}: {done}"
    assert done.stderr.count("fastimport: ") == (place == "/nonexistent"), done.stderr


def test_a_forked_child_waits_for_nobody():
    """It has none of its parent's threads, which look things up. Those of the parent go on, also if that waits for the child."""
    done = python_job("""
        import os
        pid = os.fork()
        if pid == 0:
            import decimal, email.mime.text, fractions, xml.dom.minidom
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """, env={"FASTIMPORT_WAIT_MS": 60000}, timeout=20)
    assert_done(done, "")


def test_a_daemon_outlives_the_job(cache_place, scratch):
    """It keeps working after the job has ended, and removes the cache when it ends."""
    done = python_job(f"""
        import os, sys, subprocess, time
        if os.environ["PMI_RANK"] == "0":
            subprocess.Popen([sys.executable, "-c", '''if True:
                import os, time
                time.sleep(2)
                import decimal, xml.dom.minidom, json
                os.listdir(os.path.dirname(json.__file__))
                open("{scratch}/done", "w").write(str(decimal.Decimal(2).sqrt()))
                '''], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            time.sleep(0.5)
        import json
        """, env={"FASTIMPORT_DIR": cache_place})
    assert_done(done, "")
    assert not os.path.exists(f"{scratch}/done"), "the daemon did not outlive the job: this tests nothing"
    for _ in range(100):
        if os.path.exists(f"{scratch}/done") and not caches(cache_place):
            break
        time.sleep(0.1)
    assert open(f"{scratch}/done").read().startswith("1.4142"), "the daemon failed"
    assert not caches(cache_place), f"left: {caches(cache_place)}"


def test_forked_child_goes_on_after_its_parent(cache_place, scratch):
    done = python_job(f"""
        import os, time
        if os.fork() == 0:
            os.setsid()
            [os.close(fd) for fd in (0, 1, 2)]
            time.sleep(1)
            import decimal, json
            open(f"{scratch}/{{os.environ['PMI_RANK']}}", "w").write("done")
            os._exit(0)
        import json
        """, env={"FASTIMPORT_DIR": cache_place})
    assert done.returncode == 0, done.stderr
    for _ in range(100):
        if sorted(os.listdir(scratch)) == ["0", "1"]:
            break
        time.sleep(0.1)
    assert sorted(os.listdir(scratch)) == ["0", "1"], f"{os.listdir(scratch)}"


# --- secrets and privileges ---------------------------------------------------------------------------------------------


def test_logs_reports_and_caches_keep_secrets(scratch, cache_place):
    """Nothing of the environment that is not a setting of fastimport goes into log, report, plan or cache."""
    done = python_job("""
        import json, os, subprocess, sys
        subprocess.run([sys.executable, "-c", "import decimal"], check=True)
        for name, word in ("known", "import"), ("secret", os.environ["MY_TOKEN"]):
            with open(f"{os.environ['FOUND']}/{os.environ['PMI_RANK']}-{name}", "wb") as found:
                subprocess.run(["grep", "-rlF", word, os.environ["FASTIMPORT_DIR"]], env={}, stdout=found)
        """, env={
        "FASTIMPORT_LOG": "debug", "FASTIMPORT_LOG_FILE": f"{scratch}/log", "FASTIMPORT_REPORT": f"{scratch}/report",
        "FASTIMPORT_PLAN": f"{scratch}/plan", "FASTIMPORT_DIR": cache_place, "MY_TOKEN": "swordfish-4711", "FOUND": scratch})
    assert done.returncode == 0, done.stderr
    names = os.listdir(scratch)
    assert {"log", "report", "plan"} <= set(names), f"{names}"
    for name in names:
        assert b"swordfish" not in open(f"{scratch}/{name}", "rb").read(), name
    assert "swordfish" not in done.stderr, done.stderr
    known, secret = open(f"{scratch}/0-known").read(), open(f"{scratch}/0-secret").read()
    assert "/index\n" in known and "/app.py\n" in known and secret == "", f"{known} {secret}"


def test_setuid_programs_are_left_alone():
    """Under AT_SECURE the library says nothing and makes no cache, whatever the environment says. (ld.so loads it there only from system folders.)"""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch, cache_directory() as place:
        library = "/usr/lib/x86_64-linux-gnu/libfastimport-setuid-test.so"
        program = f"{scratch}/program"
        subprocess.run(["cp", str(BUILD / "tests/jobs/thread_stress"), program], check=True)
        subprocess.run(["cp", str(LIBRARY), library], check=True)
        try:
            os.chmod(scratch, 0o755)
            os.chmod(library, 0o4755)
            command = [program, "/usr/lib/python3.11/json", "1", "1"]
            env = {"LD_PRELOAD": os.path.basename(library), "PMI_RANK": "0", "FASTIMPORT_FS": "all", "FASTIMPORT_DIR": place,
                   "FASTIMPORT_LOG": "debug", "FASTIMPORT_MPI": "/nonexistent"}
            os.chmod(program, 0o755)
            usual = subprocess.run(command, env=env, capture_output=True, text=True, user=65534, timeout=20)
            assert "cannot load" in usual.stderr, f"without setuid it should be a rank: {usual}"
            os.chmod(program, 0o4755)
            secure = subprocess.run(command, env=env, capture_output=True, text=True, user=65534, timeout=20)
            assert secure.returncode == 0 and secure.stdout == usual.stdout and secure.stderr == "", f"{secure}"
        finally:
            os.unlink(library)
