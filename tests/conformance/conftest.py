# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures for the tests of conformance/."""

import os

import pytest


@pytest.fixture(scope="session")
def own_mounts(request):
    """What root mounts ends with the tests. Others mount nothing, and compare a little less."""
    if os.geteuid() == 0:
        request.getfixturevalue("private_mounts")
