# tests: programs and tests

include tests/house/rules.mk
include tests/unit/rules.mk
include tests/elf/rules.mk
include tests/interpose/rules.mk
include tests/bench/rules.mk
include tests/differential/rules.mk
include tests/mpi/rules.mk
include tests/mpis/rules.mk
include tests/pythons/rules.mk
include tests/dl/rules.mk
include tests/tool/rules.mk
include tests/faults/rules.mk
include tests/suites/rules.mk
