# tests: programs and tests

include tests/bench/rules.mk
