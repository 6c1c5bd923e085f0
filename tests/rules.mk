# tests: programs and tests

include tests/interpose/rules.mk
include tests/differential/rules.mk
