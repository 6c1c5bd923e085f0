# SPDX-License-Identifier: BSD-3-Clause
# tests/unit: every module of preload/ without the constructor and the wrappers, with cmocka; faults by ld's --wrap.

UNIT_TESTS := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_OBJ := $(B)/obj/tests/unit
UNIT_FAULTS := $(shell awk -F', ' '/^X/ {print $$2}' tests/unit/faults.def) \
    sys_mmap malloc calloc realloc strdup pthread_create

PARALLEL_TESTS += $(filter-out $(PARALLEL_TESTS),$(UNIT_TESTS:%=test-unit-%))
.PHONY: $(UNIT_TESTS:%=test-unit-%) test-unit
test-unit: $(UNIT_TESTS:%=test-unit-%)

$(UNIT_OBJ)/%.o: COMPONENT_CPPFLAGS = $(PRELOAD_CPPFLAGS)

$(UNIT_TESTS:%=$(B)/tests/unit/%): $(B)/tests/unit/%: $(UNIT_OBJ)/test_%.o $(UNIT_OBJ)/scratch.o $(UNIT_OBJ)/faults.o $(UNIT_OBJ)/samples.o $(PRELOAD_CORE_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(UNIT_FAULTS:%=-Wl,--wrap=%) -rdynamic -o $@ $^ -lcmocka -pthread

$(addprefix $(B)/tests/unit/,libpath memory_limits roots): LDFLAGS += -Wl,--wrap=sys_read_file
$(B)/tests/unit/room: LDFLAGS += -Wl,--wrap=memory_limits_read
$(B)/tests/unit/base: LDFLAGS += -Wl,--wrap=syscall
# Libraries that call each other, bound lazily and at once; one is linked to an address where no process can have it.
UNIT_LIBS := $(B)/tests/unit/libs
$(UNIT_OBJ)/test_imports.o: COMPONENT_CPPFLAGS = $(PRELOAD_CPPFLAGS) -DLIBRARIES='"$(abspath $(UNIT_LIBS))"'
$(B)/tests/unit/imports: | $(addprefix $(UNIT_LIBS)/caller-,lazy.so now.so high.so)
$(UNIT_LIBS)/callee.so: tests/unit/libs/callee.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(WARN) -shared -fPIC -Wl,-soname,callee.so -o $@ $<
$(UNIT_LIBS)/caller-%.so: tests/unit/libs/caller.c $(UNIT_LIBS)/callee.so
	$(Q)$(CC) $(WARN) -shared -fPIC -Wl,-z,relro,-z,$* -Wl,-rpath,'$$ORIGIN' -o $@ $< $(UNIT_LIBS)/callee.so
# GNU ld and LLVM's, which the cross compiler uses, name the option differently.
IMAGE_BASE = $(if $(TARGET),-Wl$(COMMA)--image-base,-Wl$(COMMA)-Ttext-segment)
$(UNIT_LIBS)/caller-high.so: tests/unit/libs/caller.c $(UNIT_LIBS)/callee.so
	$(Q)$(CC) $(WARN) -shared -fPIC $(IMAGE_BASE)=0xffffffff00000000 -Wl,-rpath,'$$ORIGIN' -o $@ $< $(UNIT_LIBS)/callee.so
$(UNIT_OBJ)/test_originals.o $(UNIT_OBJ)/test_touched.o: COMPONENT_CPPFLAGS = $(PRELOAD_CPPFLAGS) -DLIBRARIES='"$(abspath $(UNIT_LIBS))"'
$(B)/tests/unit/originals $(B)/tests/unit/touched: | $(UNIT_LIBS)/large.so
$(UNIT_LIBS)/large.so: bench/largelib/large_library.py
	@mkdir -p $(@D)
	$(Q)/usr/bin/python3 $< $@ --mb 60
# The network is simulated.
$(B)/tests/unit/tree: LDFLAGS += $(addprefix -Wl$(COMMA)--wrap=job_,post_handover post_receive done cancel)

$(UNIT_TESTS:%=test-unit-%): test-unit-%: $(B)/tests/unit/%
	@B=$(B) TEST_TIMEOUT=60 tests/run unit-$* $<

# Hostile segments, always with sanitizers; `make fuzz-segment` searches on with libFuzzer (clang) for FUZZ_SECONDS.
SEGMENT_FUZZ_SRC := tests/unit/fuzz_segment.c tests/unit/samples.c \
    $(filter-out preload/main.c preload/intercept/%,$(PRELOAD_SRC))
SEGMENT_FUZZ_OBJ := $(SEGMENT_FUZZ_SRC:%.c=$(B)/fuzz/%.o)
SEGMENT_FUZZ_FLAGS := $(CSTD) -D_GNU_SOURCE $(PRELOAD_CPPFLAGS) -g -O1 -fno-sanitize-recover=undefined
SEGMENT_SECONDS ?= 3

$(B)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(SEGMENT_FUZZ_FLAGS) -DREPLAY -fsanitize=address,undefined -MMD -MP -c $< -o $@

-include $(SEGMENT_FUZZ_OBJ:.o=.d)

$(B)/tests/unit/fuzz_segment: $(SEGMENT_FUZZ_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $^ -pthread

PARALLEL_TESTS += test-fuzz-segment
.PHONY: test-fuzz-segment fuzz-segment
test-fuzz-segment: $(B)/tests/unit/fuzz_segment
	@B=$(B) TEST_TIMEOUT=120 tests/run fuzz-segment $< $(SEGMENT_SECONDS)

fuzz-segment:
	@mkdir -p $(B)/fuzz/segment-corpus
	clang $(SEGMENT_FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined -o $(B)/fuzz/segment $(SEGMENT_FUZZ_SRC) -pthread
	$(B)/fuzz/segment -max_total_time=$(FUZZ_SECONDS) -max_len=256 -timeout=10 -artifact_prefix=$(B)/fuzz/ $(B)/fuzz/segment-corpus
	@echo '1 passed, 0 failed'
