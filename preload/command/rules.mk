# SPDX-License-Identifier: BSD-3-Clause
# preload/command: build/fastimport, the command. What it has in common with the library comes from an archive of the
# library's objects, without the constructor and the wrappers.

COMMAND_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard preload/command/*.c))
PROGRAMS += $(B)/fastimport

$(B)/preload-core.a: $(PRELOAD_CORE_OBJ)
	$(Q)rm -f $@ && ar -rcsT $@ $^

$(B)/fastimport: $(COMMAND_OBJ) $(B)/preload-core.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(COMMAND_OBJ) $(B)/preload-core.a -ljansson -pthread -ldl
