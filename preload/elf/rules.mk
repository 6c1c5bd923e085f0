# preload/elf: libfastimport-elf.so, the dependency closure; opened with dlmopen, so it alone links libelf.

ELF_OBJS := $(patsubst %.c,$(B)/obj/%.o,$(wildcard preload/elf/*.c))
PROGRAMS += $(B)/libfastimport-elf.so

$(ELF_OBJS): CPPFLAGS_ROOM := -Ipreload
$(ELF_OBJS): CFLAGS_ROOM := -fPIC

$(B)/libfastimport-elf.so: $(ELF_OBJS) preload/elf/export.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(@F) -Wl,--version-script=preload/elf/export.map $(LDFLAGS) -o $@ $(ELF_OBJS) -lelf
