# SPDX-License-Identifier: BSD-3-Clause
# tests/conformance: what the library answers is what the kernel answers.
include tests/conformance/interpose/rules.mk
include tests/conformance/differential/rules.mk
