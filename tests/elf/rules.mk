# SPDX-License-Identifier: BSD-3-Clause
# tests/elf: the dependency closure against ld.so, from memory, and against malformed files.

ELF_T := $(B)/obj/tests/elf
$(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/elf/*.c)): COMPONENT_CPPFLAGS := -Ipreload
$(ELF_T)/probe.o: COMPONENT_CFLAGS := -fPIC

PARALLEL_TESTS += test-elf-unit test-elf-rules test-elf-fuzz
.PHONY: test-elf-unit test-elf-rules test-elf-fuzz test-elf-tree fuzz-elf

# In memory
$(B)/tests/elf/test_closure: $(ELF_T)/test_closure.o $(ELF_T)/memory_source.o $(ELF_T)/build_elf.o $(ELF_OBJS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lelf -lcmocka

test-elf-unit: $(B)/tests/elf/test_closure
	@B=$(B) tests/run elf-unit $<

# Against ld.so: a directory a rule.
ELF_PROBE_OBJS := $(ELF_T)/closure_probe.o $(ELF_T)/probe.o
$(ELF_PROBE_OBJS): SAN := $(if $(COVERAGE),,$(SAN)) # its tests link them themselves
test-elf-rules: $(B)/libfastimport-elf.so $(ELF_PROBE_OBJS)
	@B=$(B) SANITIZE=$(SANITIZE) tests/run elf-rules $(PYTEST) tests/elf/rules_test.py $(if $(RULE),-k $(RULE))

# Against ld.so: every library below a folder. FI_ELF_TREES="venv/lib ..."; by default what Debian's Python has.
export FI_ELF_TREES
$(B)/tests/elf/libclosure_probe.so: $(ELF_T)/probe.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^

ifeq ($(SANITIZE),) # Python is built without sanitizers
PARALLEL_TESTS += test-elf-tree
endif
test-elf-tree: $(B)/tests/elf/libclosure_probe.so $(B)/libfastimport-elf.so
	@B=$(B) tests/run elf-tree $(PYTEST) tests/elf/tree_test.py

# Malformed files: a few thousand mutations of the seeds, always with sanitizers. `make fuzz-elf` searches on with
# libFuzzer (clang, libclang-rt-dev) for FUZZ_SECONDS.
ELF_FUZZ_SRC := tests/elf/fuzz_closure.c tests/elf/memory_source.c $(wildcard preload/elf/*.c)
ELF_FUZZ_FLAGS := $(CSTD) -D_GNU_SOURCE -Ipreload -g -O1 -fno-sanitize-recover=undefined
FUZZ_MUTATIONS ?= 4000

$(B)/tests/elf/fuzz_replay: $(ELF_FUZZ_SRC) $(wildcard preload/elf/*.h tests/elf/*.h)
	@mkdir -p $(@D)
	$(call say,CCLD,$@)
	$(Q)$(CC) $(ELF_FUZZ_FLAGS) -DREPLAY -fsanitize=address,undefined -o $@ $(ELF_FUZZ_SRC) -lelf

$(B)/tests/elf/make_corpus: $(ELF_T)/make_corpus.o $(ELF_T)/build_elf.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

$(B)/tests/elf/corpus: $(B)/tests/elf/make_corpus
	$(Q)rm -rf $@ && mkdir -p $@ && $< $@

test-elf-fuzz: $(B)/tests/elf/fuzz_replay $(B)/tests/elf/corpus
	@B=$(B) tests/run elf-fuzz sh -c 'exec $< $(FUZZ_MUTATIONS) $(B)/tests/elf/corpus/*'

fuzz-elf: $(B)/tests/elf/corpus
	clang $(ELF_FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined -o $(B)/tests/elf/fuzz_closure $(ELF_FUZZ_SRC) -lelf
	cd $(B)/tests/elf && ./fuzz_closure -max_total_time=$(FUZZ_SECONDS) -max_len=20000 -timeout=10 corpus
	@echo '1 passed, 0 failed'
