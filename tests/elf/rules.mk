# tests/elf: the dependency closure against ld.so, against malformed files, and from memory.

ELF_PROBE_OBJS := $(B)/obj/tests/elf/closure_probe.o $(B)/obj/tests/elf/probe.o
$(ELF_PROBE_OBJS): CPPFLAGS_ROOM := -Ipreload
$(ELF_PROBE_OBJS): CFLAGS_ROOM := -fPIC
ELF_PROBE := $(ELF_PROBE_OBJS) $(if $(SANITIZE),$(ELF_OBJS) -lelf $(SAN))
LINT_SRC += $(wildcard tests/elf/*.c)

TESTS += test-elf-rules
.PHONY: test-elf-rules
test-elf-rules: $(B)/libfastimport-elf.so $(ELF_PROBE_OBJS)
	@B=$(B) tests/run elf-rules tests/elf/run_rules $< $(ELF_PROBE)

# Every library below a folder: FI_ELF_TREES="venv/lib ..." or what Debian's Python has.
ELF_TREES := $(or $(FI_ELF_TREES),$(wildcard /usr/lib/python3*/lib-dynload /usr/lib/python3/dist-packages))
$(B)/tests/elf/libclosure_probe.so: $(B)/obj/tests/elf/probe.o $(if $(SANITIZE),$(ELF_OBJS))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^ $(if $(SANITIZE),-lelf)

ifeq ($(SANITIZE),) # Python is not built with the sanitizers
TESTS += test-elf-tree
endif
.PHONY: test-elf-tree
test-elf-tree: $(B)/tests/elf/libclosure_probe.so $(B)/libfastimport-elf.so
	@B=$(B) tests/run elf-tree /usr/bin/python3 tests/elf/compare_tree.py $^ $(ELF_TREES)
