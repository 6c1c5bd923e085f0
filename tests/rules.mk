# tests: programs and tests

include tests/elf/rules.mk
