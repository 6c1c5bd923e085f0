# SPDX-License-Identifier: BSD-3-Clause
# tests/bench: the emulated shared file system and the emulated nodes, the commands of bench/, the storm of libraries.
PARALLEL_TESTS += test-sharedfs-state test-make-env
TESTS += test-sharedfs test-nodes test-libstorm
.PHONY: test-sharedfs-state test-sharedfs test-nodes test-make-env test-libstorm

$(B)/tests/sharedfs_state: $(B)/obj/tests/bench/sharedfs_state.o $(B)/obj/bench/emulator/sharedfs/state.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $^ $(LDFLAGS) -lcmocka -pthread -o $@

$(B)/obj/tests/bench/sharedfs_state.o: COMPONENT_CPPFLAGS = -Ibench/emulator/sharedfs

test-sharedfs-state: $(B)/tests/sharedfs_state
	$(Q)B=$(B) tests/run sharedfs-state $<

test-sharedfs: $(B)/sharedfs
	$(Q)B=$(B) tests/run sharedfs $(PYTEST) tests/bench/sharedfs_test.py

test-nodes: $(B)/sharedfs $(B)/emulated-node
	$(Q)B=$(B) tests/run nodes $(PYTEST) tests/bench/nodes_test.py

test-make-env:
	$(Q)B=$(B) tests/run make-env $(PYTEST) tests/bench/make_env_test.py

test-libstorm:
	$(Q)B=$(B) tests/run libstorm $(PYTEST) tests/bench/libstorm_test.py

# The commands of bench/.
PARALLEL_TESTS += test-bench-trace test-bench-model
TESTS += test-bench-startup test-bench-bulk
.PHONY: test-bench-startup test-bench-trace test-bench-model test-bench-bulk

test-bench-startup: all
	$(Q)B=$(B) tests/run bench-startup $(PYTEST) tests/bench/startup_test.py

test-bench-trace: all
	$(Q)B=$(B) tests/run bench-trace $(PYTEST) tests/bench/trace_test.py

test-bench-model:
	$(Q)B=$(B) tests/run bench-model $(PYTEST) tests/bench/model_test.py

# The first test that needs the environment of bench/env, which it builds where there is none: that takes minutes.
test-bench-bulk: all
	$(Q)B=$(B) TEST_TIMEOUT=1200 tests/run bench-bulk $(PYTEST) tests/bench/bulk_test.py
