# tests/architecture: rooms, exports, lengths, and what may not stand in the tree.

TESTS += test-architecture
.PHONY: test-architecture
test-architecture: $(B)/libfastimport.so $(B)/libfastimport-elf.so
	@B=$(B) SANITIZE=$(SANITIZE) tests/run architecture /usr/bin/python3 -B tests/architecture/architecture.py $(B)
