"""make-env's safety, without building anything: wrong use is refused, and what it did not make is not touched."""

import os
import pathlib
import tempfile
import unittest

from harness import ROOT, call, main

MAKE_ENV, ENV_PATH = ROOT / "bench/env/make-env", ROOT / "bench/env/env-path"


class MakeEnv(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="make-env-test-")
        self.addCleanup(scratch.cleanup)
        self.base = pathlib.Path(scratch.name)
        self.env = {**os.environ, "FASTIMPORT_TEST_ENV": str(self.base)}

    def test_path_names_the_recipe(self):
        done = call(ENV_PATH, "--with=scipy,numpy,numpy", "--mpi", "wheel", env=self.env)
        self.assertEqual(done.stdout.strip(), f"{self.base}/wheel-numpy+scipy")

    def test_wrong_use(self):
        for argv in (["--mpi", "openmpi"], ["--with"], ["--with", "a b"], ["--frob"], ["a", "b"]):
            done = call(MAKE_ENV, *argv, env=self.env)
            self.assertEqual(done.returncode, 2, argv)
            self.assertIn("make-env", done.stderr)

    def test_foreign_directory_is_not_touched(self):
        precious = self.base / "precious"
        precious.mkdir()
        (precious / "thesis").write_text("text")
        done = call(MAKE_ENV, precious, env=self.env)
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(precious), done.stderr)
        self.assertEqual((precious / "thesis").read_text(), "text")


if __name__ == "__main__":
    main()
