# tests: programs and tests

include tests/interpose/rules.mk
