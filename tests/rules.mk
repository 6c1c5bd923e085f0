# tests: programs and tests
include tests/tool/rules.mk
