# SPDX-License-Identifier: BSD-3-Clause
"""What the commands of bench/ share: the message at failure, the Python environment, a private mount namespace."""

import os
import pathlib
import shutil
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH / "emulator/nodes"))
from sharedjob import BUILD  # noqa: E402


def name():
    """The name of the running command in messages: the folder of a `run`, else the name of the script."""
    script = pathlib.Path(sys.argv[0]).resolve()
    return script.parent.name if script.name == "run" else script.name


def say(message):
    """Prints a message of the command on standard error."""
    print(f"{name()}: {message}", file=sys.stderr)


def fail(message, code=2):
    """Prints a message and exits. Code 2: the command was called wrongly; 1: something went wrong."""
    say(message)
    sys.exit(code)


def require_built(*programs):
    """Exits unless these files are in the build directory."""
    for program in programs:
        if not (BUILD / program).exists():
            fail(f"{BUILD / program} is missing: run make")


def make_environment(packages=()):
    """The directory of the Python environment with these packages (default: make-env's own list).

    The first call on a machine builds the environment. Exits if that fails.
    """
    options = ["--with", ",".join(sorted(packages))] if packages else []
    done = subprocess.run([BENCH / "env/make-env", *options], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        fail("no Python environment (see above)", 1)
    return done.stdout.strip()


def find_program(words, python):
    """The command `words` with the full path of its program; `python` stands for the interpreter of that path.

    Exits if there is no such program.
    """
    path = str(python) if words[0] in ("python", "python3") and python else shutil.which(words[0])
    if not path or not os.access(path, os.X_OK):
        fail(f"no program '{words[0]}'")
    return [path, *words[1:]]


def enter_private_namespace():
    """Restarts the command in a mount namespace of its own: what it mounts is unmounted when it ends.

    Without root it does nothing.
    """
    marker = f"{name().upper()}_NAMESPACE"
    if os.geteuid() == 0 and marker not in os.environ:
        os.environ[marker] = "1"
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
