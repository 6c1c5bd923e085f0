# bench: the emulator's clock and counters, its file system, the emulated nodes
TESTS += test-sharedfs-state test-sharedfs test-nodes test-make-env
.PHONY: test-sharedfs-state test-sharedfs test-nodes test-make-env

$(B)/tests/sharedfs_state: $(B)/obj/tests/bench/sharedfs_state.o $(B)/obj/bench/emulator/sharedfs/state.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $^ $(LDFLAGS) -lcmocka -pthread -o $@

$(B)/obj/tests/bench/sharedfs_state.o: CPPFLAGS_ROOM = -Ibench/emulator/sharedfs

test-sharedfs-state: $(B)/tests/sharedfs_state
	$(Q)B=$(B) tests/run sharedfs-state $<

# In a mount namespace of their own, so that nothing stays mounted whatever happens.
PRIVATE := unshare --mount --propagation private

test-sharedfs: $(B)/sharedfs
	$(Q)B=$(B) tests/run sharedfs $(PRIVATE) /usr/bin/python3 tests/bench/sharedfs_test.py

test-nodes: $(B)/sharedfs $(B)/emulated-node
	$(Q)B=$(B) tests/run nodes $(PRIVATE) /usr/bin/python3 tests/bench/nodes_test.py

test-make-env:
	$(Q)B=$(B) tests/run make-env /usr/bin/python3 tests/bench/make_env_test.py

# The tools that measure, look and predict.
TESTS += test-bench-startup test-bench-trace test-bench-model test-bench-bulk
.PHONY: test-bench-startup test-bench-trace test-bench-model test-bench-bulk

test-bench-startup: all
	$(Q)B=$(B) tests/run bench-startup $(PRIVATE) /usr/bin/python3 tests/bench/startup_test.py

test-bench-trace:
	$(Q)B=$(B) tests/run bench-trace /usr/bin/python3 tests/bench/trace_test.py

# It is the first that needs the environment of bench/env, and builds it where there is none: minutes of compiling.
test-bench-bulk: all
	$(Q)B=$(B) TEST_TIMEOUT=1200 tests/run bench-bulk $(PRIVATE) /usr/bin/python3 tests/bench/bulk_test.py

test-bench-model:
	$(Q)B=$(B) tests/run bench-model /usr/bin/python3 tests/bench/model_test.py
