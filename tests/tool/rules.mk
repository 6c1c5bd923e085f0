# The staging tool's tests: modules with cmocka, the tool on one node, the tool on four emulated nodes.

PMB_TESTS := name rewrite archive manifest tree
PMB_CORE := $(filter-out $(B)/obj/bcast-tool/cli/% $(B)/obj/bcast-tool/nodes/% $(B)/obj/bcast-tool/stage/%,$(PMB_OBJ))

PMB_TEST_BIN := $(PMB_TESTS:%=$(B)/tests/tool/test_%)
TESTS += $(PMB_TESTS:%=test-tool-%) test-tool-archives test-tool-hostile test-tool-environment test-tool-faults test-tool-trust
TESTS_LONG += test-tool-archives-long

$(B)/obj/tests/tool/%.o: COMPONENT_CPPFLAGS = -Ibcast-tool

$(PMB_TEST_BIN): $(B)/tests/tool/%: $(B)/obj/tests/tool/%.o $(PMB_CORE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS) $(PMB_LIBS) -lcmocka

.PHONY: $(PMB_TESTS:%=test-tool-%) test-tool-archives test-tool-archives-long test-tool-hostile test-tool-environment test-tool-faults test-tool-trust

$(PMB_TESTS:%=test-tool-%): test-tool-%: $(B)/tests/tool/test_%
	@B=$(B) tests/run tool-$* $<

test-tool-archives: $(B)/python-mpi-bcast
	@B=$(B) tests/run tool-archives python3 tests/tool/archives.py $<

test-tool-hostile: $(B)/python-mpi-bcast
	@B=$(B) tests/run tool-hostile python3 tests/tool/hostile.py $<

test-tool-archives-long: $(B)/python-mpi-bcast
	@B=$(B) TEST_TIMEOUT=1800 tests/run tool-archives-long python3 tests/tool/archives.py $< --long

test-tool-environment: $(B)/python-mpi-bcast
	@B=$(B) tests/run tool-environment tests/tool/environment.sh

test-tool-faults: $(B)/python-mpi-bcast
	@B=$(B) tests/run tool-faults tests/tool/faults.sh

test-tool-trust: $(B)/python-mpi-bcast
	@B=$(B) tests/run tool-trust tests/tool/trust.sh
