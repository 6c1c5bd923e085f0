# SPDX-License-Identifier: BSD-3-Clause
# tests/tool: python-mpi-bcast. Its modules with cmocka; the tool on one node and on four emulated nodes with pytest.

PMB_TESTS := name rewrite archive manifest tree
PMB_CORE := $(filter-out $(B)/obj/bcast-tool/cli/% $(B)/obj/bcast-tool/nodes/% $(B)/obj/bcast-tool/stage/%,$(PMB_OBJ))

PMB_TEST_BIN := $(PMB_TESTS:%=$(B)/tests/tool/test_%)
PMB_PY_TESTS := archives hostile commands environment faults trust
TESTS += $(PMB_TESTS:%=test-tool-%) $(PMB_PY_TESTS:%=test-tool-%)
TESTS_LONG += test-tool-archives-long
.PHONY: $(PMB_TESTS:%=test-tool-%) $(PMB_PY_TESTS:%=test-tool-%) test-tool-archives-long

$(B)/obj/tests/tool/%.o: COMPONENT_CPPFLAGS = -Ibcast-tool -Ipreload

$(PMB_TEST_BIN): $(B)/tests/tool/%: $(B)/obj/tests/tool/%.o $(PMB_CORE) $(B)/preload-core.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS) $(PMB_LIBS) -lcmocka

$(PMB_TESTS:%=test-tool-%): test-tool-%: $(B)/tests/tool/test_%
	$(Q)B=$(B) tests/run tool-$* $<

$(PMB_PY_TESTS:%=test-tool-%): test-tool-%: $(B)/python-mpi-bcast
	$(Q)B=$(B) tests/run tool-$* $(PYTEST) tests/tool/$*_test.py

test-tool-archives-long: $(B)/python-mpi-bcast
	$(Q)B=$(B) TOOL_LONG=1 TEST_TIMEOUT=1800 tests/run tool-archives-long $(PYTEST) tests/tool/archives_test.py
