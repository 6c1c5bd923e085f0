# SPDX-License-Identifier: BSD-3-Clause
"""Open descriptors of served files answer as those of the originals: their names in /proc, their attributes, their file system."""

import os
import pathlib

import pytest
from job import PYTHON, local_job, plain_job, script

pytestmark = pytest.mark.needs("mpiexec.mpich", "environment")

QUESTIONS = {
    "the name in /proc": """
        import ctypes
        libc, short = ctypes.CDLL(None), ctypes.create_string_buffer(8)
        print(os.readlink(f"/proc/self/fd/{fd}"), os.readlink(f"/proc/{os.getpid()}/fd/{fd}"), os.readlink(f"/dev/fd/{fd}"),
              os.path.realpath(f"/proc/self/fd/{fd}"), libc.readlink(b"/proc/self/fd/%d" % fd, short, 8), short.raw)
        """,
    "stat by that name": """
        facts = os.stat(f"/proc/self/fd/{fd}")
        print(facts == os.fstat(fd) == os.stat(path), facts, os.path.samefile(f"/dev/fd/{fd}", path),
              os.path.islink(f"/proc/self/fd/{fd}"), os.access(f"/proc/self/fd/{fd}", os.R_OK))
        """,
    "extended attributes": """
        print(os.listxattr(fd), os.getxattr(fd, "user.known"))
        """,
    "the file system": """
        print(os.fstatvfs(fd).f_fsid == os.statvfs(path).f_fsid, os.fstatvfs(fd).f_fsid)
        """,
    "copy_file_range": """
        with open(f"{path}.copy{os.environ['PMI_RANK']}", "wb") as out:
            print(os.copy_file_range(fd, out.fileno(), 100), os.lseek(fd, 0, os.SEEK_CUR))
        """,
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_it_answers_as_the_original(scratch, question):
    path = pathlib.Path(scratch, "served/file")
    path.parent.mkdir()
    path.write_text("content")
    if question == "extended attributes":
        try:
            os.setxattr(path, "user.known", b"value")
        except OSError as e:
            pytest.skip(f"{scratch}: no extended attributes here: {e.strerror}")
    app = script(scratch, f"""
        import os
        path = {str(path)!r}
        f = open(path)
        fd = f.fileno()
        assert f.read(3) == "con"
        os.lseek(fd, 3, os.SEEK_SET)
        """ + QUESTIONS[question])
    plain = plain_job([PYTHON, app])
    done = local_job([PYTHON, app], env={"FASTIMPORT_PATH": str(path.parent)})
    assert plain.returncode == 0, plain.stderr
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == sorted(plain.stdout.splitlines())
