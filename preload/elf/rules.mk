# SPDX-License-Identifier: BSD-3-Clause
# preload/elf: libfastimport-elf.so, the dependency closure; opened with dlmopen, so it alone links libelf.

ELF_OBJS := $(patsubst %.c,$(B)/obj/%.o,$(wildcard preload/elf/*.c))
PROGRAMS += $(B)/libfastimport-elf.so

$(ELF_OBJS): COMPONENT_CPPFLAGS := -Ipreload
$(ELF_OBJS): COMPONENT_CFLAGS := -fPIC

# A DT_RPATH names the directory of libelf at build time. It is searched before LD_LIBRARY_PATH (a DT_RUNPATH is not),
# so ranks do not search that on the shared file system, and do not load another libelf that the program brings.
ELF_LIBDIR ?= $(patsubst %/,%,$(dir $(realpath $(shell $(CC) -print-file-name=libelf.so))))

$(B)/libfastimport-elf.so: $(ELF_OBJS) preload/elf/export.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(@F) -Wl,--version-script=preload/elf/export.map $(LDFLAGS) \
	  $(ELF_LIBDIR:%=-Wl$(COMMA)--disable-new-dtags$(COMMA)-rpath$(COMMA)%) -o $@ $(ELF_OBJS) -lelf $(LIBC_LIBS)
