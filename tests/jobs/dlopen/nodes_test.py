# SPDX-License-Identifier: BSD-3-Clause
"""dlopen by name, for a caller that came from the node cache: on a node that gets it from another node, and after the end of the service."""

import subprocess

import pytest
from job import assert_done, nodes_job

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

SOURCES = {
    "plugin": "int plugin(void) { return 42; }",
    "caller": """
        #include <dlfcn.h>
        int ask(void)
        {
            void *plugin = dlopen("libplugin.so", RTLD_NOW);
            int (*answer)(void) = plugin ? (int (*)(void))dlsym(plugin, "plugin") : 0;
            return answer ? answer() : -1;
        }""",
    "top": "int ask(void); int top(void) { return ask(); }",
}


def library(folder, name, *flags):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.c").write_text(SOURCES[name])
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / f"lib{name}.so", folder / f"{name}.c", *flags], check=True)


def libraries(scratch, rpath="$ORIGIN/../libs", tags="--enable-new-dtags"):
    """libtop.so needs libcaller.so, which opens libplugin.so without a slash, and has it beside itself."""
    library(scratch / "libs", "plugin")
    library(scratch / "libs", "caller", f"-Wl,{tags},-rpath,$ORIGIN")
    library(scratch / "top", "top", f"-L{scratch}/libs", "-lcaller", f"-Wl,-rpath,{rpath}")


@pytest.mark.parametrize("rpath", ["$ORIGIN/../libs", "$ORIGIN/../libs/.", "$ORIGIN/../libs/"])
def test_name_from_a_caller_under_a_path_that_is_not_normal(scratch, cache_place, rpath):
    """ld.so names the caller by its search path, as it stands."""
    libraries(scratch, rpath)
    done = nodes_job(f"""
        import ctypes, sys
        print(ctypes.CDLL("{scratch}/top/libtop.so").top())
        import wave  # the node is still served
        """, 2, 2, {"FASTIMPORT_PATH": str(scratch), "FASTIMPORT_DIR": cache_place})
    assert_done(done, "42\n" * 2)


@pytest.mark.parametrize("tags", ["--enable-new-dtags", "--disable-new-dtags"])  # RUNPATH, RPATH
@pytest.mark.parametrize("nodes", [1, 2])
def test_name_after_the_end_of_the_service(scratch, cache_place, nodes, tags):
    """The caller was loaded from the mirror, where the library is not."""
    libraries(scratch, tags=tags)
    done = nodes_job(f"""
        import ctypes
        from mpi4py import MPI
        top = ctypes.CDLL("{scratch}/top/libtop.so")
        MPI.Finalize()
        print(top.top())
        """, 2, nodes, {"FASTIMPORT_PATH": str(scratch), "FASTIMPORT_DIR": cache_place})
    assert_done(done, "42\n" * 2)
