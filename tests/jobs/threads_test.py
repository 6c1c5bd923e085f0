# SPDX-License-Identifier: BSD-3-Clause
"""Many threads import and open at once, in every rank. They see what they see without the library.

With TEST_TSAN=1 in the environment only C programs run, with ThreadSanitizer, and any data race is a failure (`make test-races`).
"""

import os
import subprocess
import tempfile

import pytest
from job import BUILD, LIBRARY, ROOT, cache_directory, local_job, plain_job, python_job, sharedjob

pytestmark = pytest.mark.needs("mpiexec.mpich", "environment")

TSAN = "TEST_TSAN" in os.environ
THREAD_STRESS = str(BUILD / "tests/jobs/thread_stress")


def tsan_settings():
    runtime = subprocess.check_output(["gcc", "-print-file-name=libtsan.so"], text=True).strip()
    return {"LD_PRELOAD": f"{os.path.realpath(runtime)}:{LIBRARY}",
            "TSAN_OPTIONS": f"exitcode=0 report_thread_leaks=0 suppressions={ROOT}/tests/jobs/tsan.supp ignore_noninstrumented_modules=1"}


def stress(ranks, threads, rounds):
    with tempfile.TemporaryDirectory() as scratch, cache_directory() as place:
        report = f"{scratch}/report"
        command = [THREAD_STRESS, os.path.dirname(os.__file__) + "/asyncio", str(threads), str(rounds)]
        env = {"FASTIMPORT_DIR": place, "FASTIMPORT_REPORT": report, "FASTIMPORT_PATH": os.path.dirname(os.__file__)}
        done = local_job(command, ranks, env | (tsan_settings() if TSAN else {}), timeout=200)
        plain = plain_job(command, 1)
        assert "WARNING: ThreadSanitizer" not in done.stderr, done.stderr[:6000]
        assert done.returncode == 0 and set(done.stdout.split()) == set(plain.stdout.split()) and len(set(plain.stdout.split())) == 1, (
            f"{done.returncode} {set(done.stdout.split())} {set(plain.stdout.split())}\n{done.stderr}")
        assert done.stdout.count("\n") == ranks * threads, done.stdout
        served = sharedjob.read_json(report)["calls"]
        assert served["open"]["served"] > ranks * threads * rounds, str(served)


def test_threads_of_c():
    stress(2 if TSAN else 4, 8, 1 if TSAN else 3)
    stress(1, 16, 1 if TSAN else 3)


@pytest.mark.skipif(TSAN, reason="Python is built without ThreadSanitizer")
def test_threads_of_python():
    done = python_job("""
        import importlib, os, threading
        names = [n for n in "json decimal email.mime.text xml.dom.minidom csv sqlite3 ctypes asyncio logging.config unittest http.client "
                 "concurrent.futures tarfile zipfile lzma bz2 hashlib ssl difflib statistics".split()]
        seen, barrier = {}, threading.Barrier(12)
        def work(i):
            barrier.wait()
            for n in names[i:] + names[:i]:
                module = importlib.import_module(n)
                seen[i, n] = len(open(module.__file__, "rb").read()), os.stat(module.__file__).st_ino, len(os.listdir(os.path.dirname(module.__file__)))
        threads = [threading.Thread(target=work, args=(i,)) for i in range(12)]
        [t.start() for t in threads], [t.join() for t in threads]
        assert len(seen) == 12 * len(names) and all(seen[i, n] == seen[0, n] for i, n in seen)
        os.write(1, f"{sum(v[0] for v in seen.values())}\\n".encode())
        """, ranks=4, timeout=120)
    lines = done.stdout.split()
    assert done.returncode == 0 and len(lines) == 4 and len(set(lines)) == 1, f"{done}"
