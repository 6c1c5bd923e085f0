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
