# SPDX-License-Identifier: BSD-3-Clause
"""The programs of programs_test.py, a table each file: name: (packages of PyPI, the script).

A script does a small piece of the package's real work. It runs in an empty directory of its own, on two ranks, and prints
the same each time: nothing random, no time, no process id. It loads nothing from the network.
"""
