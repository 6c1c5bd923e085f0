# tests/house: rooms, exports, lengths, and what may not stand in the tree.

TESTS += test-house
.PHONY: test-house
test-house: $(B)/libfastimport.so $(B)/libfastimport-elf.so
	@B=$(B) SANITIZE=$(SANITIZE) tests/run house /usr/bin/python3 -B tests/house/house.py $(B)
