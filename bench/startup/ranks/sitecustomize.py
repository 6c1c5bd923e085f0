# SPDX-License-Identifier: BSD-3-Clause
"""Notes when the main of a rank begins and when its imports end. Each rank of a measured job finds it first on PYTHONPATH.

The imports end when the last import statement that loaded a module returns. At exit the rank writes a JSON object to
$STARTUP_STAMPS/RANK. Times are nanoseconds since the epoch:

    rank        the number of the rank
    exec        STARTUP_EXEC_NS, when stamp executed the program (stamp.c)
    main        when this module was loaded
    imported    when the imports ended
    cpu         processor time of the process until then, nanoseconds
    own_cpu     that of its main thread

Then it runs the sitecustomize of the environment, which it hides. It removes itself from the variables, so that child
processes do not find it.
"""


def _watch():
    """Wraps __import__ and registers what writes the times at exit."""
    import atexit
    import builtins
    import os
    import sys
    import time

    here = os.path.dirname(__file__)
    place, executed = os.environ.pop("STARTUP_STAMPS", None), os.environ.pop("STARTUP_EXEC_NS", None)
    sys.path[:] = [p for p in sys.path if p != here]
    rest = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != here]
    os.environ.pop("PYTHONPATH", None)
    if rest:
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    if not place or not executed:
        return
    real, modules, now = builtins.__import__, sys.modules, time.time_ns
    cpu_now, own_now = time.process_time_ns, time.thread_time_ns
    began = now()
    last = [began, cpu_now(), own_now()]

    def watched(*args, **kwargs):
        before = len(modules)
        try:
            return real(*args, **kwargs)
        finally:
            if len(modules) != before:
                last[:] = now(), cpu_now(), own_now()

    def write():
        names = "PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"
        rank = next((os.environ[name] for name in names if name in os.environ), "0")
        text = (f'{{"rank": {rank}, "exec": {executed}, "main": {began}, "imported": {last[0]}, "cpu": {last[1]}, '
                f'"own_cpu": {last[2]}}}\n')
        with open(f"{place}/{rank}", "w", encoding="utf-8") as f:
            f.write(text)

    builtins.__import__ = watched
    atexit.register(write)


def _run_hidden():
    """Runs the sitecustomize that Python would have found without this one."""
    import sys

    mine = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # noqa: F401
    except ImportError:
        sys.modules["sitecustomize"] = mine


_watch()
_run_hidden()
