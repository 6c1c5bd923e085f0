# SPDX-License-Identifier: BSD-3-Clause
# tests/architecture: components, exports, lengths, and what may not stand in the tree.

PARALLEL_TESTS += test-architecture
.PHONY: test-architecture
test-architecture: $(B)/libfastimport.so $(B)/libfastimport-elf.so
	@B=$(B) SANITIZE=$(SANITIZE) tests/run architecture $(PYTEST) tests/architecture/architecture_test.py
