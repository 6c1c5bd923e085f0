# SPDX-License-Identifier: BSD-3-Clause
"""Packages of PyPI have the same output and map the same libraries without the library and with it on two ranks.

Each package does one small computation. Mirror paths are translated back; what only the ranks' MPI library brings is left out by
comparing what is below the environment. The environment is built by bench/env/make-env on the first run.
"""

import json
import os
import pathlib
import re
import subprocess

import pytest
from job import LIBRARY, ROOT

pytestmark = pytest.mark.needs("mpiexec.mpich")

MIRROR = re.compile(r"^/\S*/fastimport-\d+-[0-9a-f]+/files(?=/)")

# name on PyPI: what it computes
PACKAGES = {
    "numpy": "import numpy; print(numpy.linalg.eigvalsh(numpy.diag([3., 1., 2.])).round(9).tolist())",
    "scipy": "import scipy.optimize, scipy.sparse.linalg; print(round(scipy.optimize.brentq(lambda x: x * x - 2, 0, 2), 9))",
    "pandas": "import pandas; print(pandas.DataFrame({'a': [1, 2, 1], 'b': [4, 5, 6]}).groupby('a').sum().to_csv())",
    "h5py": "import h5py; f = h5py.File('x', 'w', driver='core', backing_store=False); f['a'] = [1, 2, 3]; print(f['a'][:].sum(), f['a'].dtype)",
    "pyarrow": "import pyarrow, pyarrow.compute; print(pyarrow.compute.sum(pyarrow.array([1, 2, 3])).as_py())",
    "scikit-learn": "from sklearn.linear_model import LinearRegression as L; m = L().fit([[0], [1], [2]], [1, 3, 5]); "
                    "print(m.coef_.round(6).tolist(), round(m.intercept_, 6))",
    "matplotlib": "import matplotlib; matplotlib.use('Agg'); import matplotlib.pyplot as p, io; p.plot([1, 3, 2]); b = io.BytesIO(); "
                  "p.savefig(b, metadata={'Software': None}); import hashlib; print(hashlib.sha256(b.getvalue()).hexdigest())",
    "pyzmq": "import zmq; c = zmq.Context(); a = c.socket(zmq.PAIR); b = c.socket(zmq.PAIR); a.bind('inproc://x'); b.connect('inproc://x'); "
             "a.send(b'hello'); print(b.recv(), zmq.zmq_version()); a.close(); b.close(); c.term()",
    "lxml": "import lxml.etree as e; print(e.tostring(e.XSLT(e.XML('<xsl:stylesheet version=\"1.0\" xmlns:xsl=\"http://www.w3.org/1999/XSL/"
            "Transform\"><xsl:template match=\"/\"><r><xsl:value-of select=\"sum(//n)\"/></r></xsl:template></xsl:stylesheet>'))"
            "(e.XML('<a><n>1</n><n>2</n></a>'))))",
    "opencv-python-headless": "import cv2, numpy; print(cv2.GaussianBlur(numpy.eye(9, dtype=numpy.uint8) * 255, (3, 3), 0).sum())",
    "numba": "import numba; print(numba.njit(lambda n: sum([i * i for i in range(n)]))(10))",
}
OPENING = """
import os, sys
sys.stdout = open(os.environ["OUT"] + os.environ.get("PMI_RANK", "0") + ".text", "w")
"""
CLOSING = """
import os
with open(os.environ["OUT"] + os.environ.get("PMI_RANK", "0"), "w") as out:
    names = {line.split(maxsplit=5)[5].rstrip() for line in open("/proc/self/maps") if line.count("/")}
    out.write("\\n".join(sorted(names)))
"""


@pytest.fixture(scope="module")
def share():
    """The directory of an environment with all of them."""
    names = ",".join(["mpi4py", *PACKAGES])
    return subprocess.check_output([ROOT / "bench/env/make-env", "--with", names], text=True).strip()


def mapped(file, share):
    names = {MIRROR.sub("", name) for name in pathlib.Path(file).read_text().splitlines()}
    return {os.path.realpath(name) for name in names if name.startswith(share) and ".so" in name}


def run(before, program, out):
    done = subprocess.run([*before, f"OUT={out}", "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1", *program], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=240)
    texts = [p.read_text() for p in sorted(pathlib.Path(out).parent.glob(f"{pathlib.Path(out).name}?.text"))]
    return done.returncode, texts, done.stderr


@pytest.mark.parametrize("name", PACKAGES)
def test_package(share, name, scratch):
    program = [f"{share}/env/bin/python", "-c", OPENING + PACKAGES[name] + "\n" + CLOSING]
    plain_code, plain, errors = run(["env"], program, f"{scratch}/plain")
    assert plain_code == 0 and plain, f"plain: exit {plain_code}\n{errors[-2000:]}"
    report = f"{scratch}/report"
    code, job, errors = run(["mpiexec.mpich", "-n", "2", "env", f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", "FASTIMPORT_PLAN=off",
                             f"FASTIMPORT_REPORT={report}"], program, f"{scratch}/job")
    assert code == 0, f"exit {code}\n{errors[-2000:]}"
    assert job == plain * 2 and plain[0], f"output {job!r}, not twice {plain!r}"
    assert "fastimport" not in errors, errors[-2000:]
    wanted = mapped(f"{scratch}/plain0", share)
    for rank in "01":
        got = mapped(f"{scratch}/job{rank}", share)
        assert got == wanted, f"rank {rank} maps also {got - wanted}, not {wanted - got}"
    facts = json.loads(pathlib.Path(report).read_text())
    assert facts["fallbacks"]["library"] == 0 and facts["calls"]["dl"]["served"] > 0, str(facts["fallbacks"])
    print(f"    {len(wanted)} libraries, {facts['calls']['dl']['served']} calls of dlopen served, fallbacks {facts['fallbacks']}", flush=True)
