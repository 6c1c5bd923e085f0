# SPDX-License-Identifier: BSD-3-Clause
# preload: build/libfastimport.so

PRELOAD_SRC := $(wildcard preload/*.c $(foreach d,answer base broadcast cache dlopen early fill intercept invalidate ldso mpi plan policy process report service,preload/$(d)/*.c))
PRELOAD_OBJ := $(PRELOAD_SRC:%.c=$(B)/obj/%.o)
# What unit tests link: all but the constructor and the wrappers.
PRELOAD_CORE_OBJ := $(filter-out $(B)/obj/preload/main.o $(B)/obj/preload/intercept/%,$(PRELOAD_OBJ))

PROGRAMS += $(B)/libfastimport.so
PRELOAD_CPPFLAGS := -Ipreload

$(B)/obj/preload/%.o: COMPONENT_CPPFLAGS := $(PRELOAD_CPPFLAGS)
$(B)/obj/preload/%.o: COMPONENT_CFLAGS := -fPIC -fvisibility=hidden -ftls-model=initial-exec
# A wrapper may not be turned into a call of itself, nor a fortified name be added behind its back.
$(B)/obj/preload/intercept/%.o: COMPONENT_CFLAGS += -fno-builtin -U_FORTIFY_SOURCE

# The export map is anonymous: with a named version node none of the interposed calls would bind.
$(B)/exports.map: preload/intercept/symbols.def
	@mkdir -p $(@D)
	$(call say,MAP,$@)
	$(Q)printf '{ global: fastimport_libraries_mapped; %s; local: *; };\n' \
	  "$$(cat $^ | $(CC) -E -P -x c -D'X(r,n,p)=@n@' - | grep -o '@[^@]*@' | tr -d '@ ' | sort | paste -sd';')" > $@

$(B)/libfastimport.so: $(PRELOAD_OBJ) $(B)/exports.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,libfastimport.so -Wl,--version-script=$(B)/exports.map \
	  -o $@ $(PRELOAD_OBJ) $(LIBC_LIBS)

include preload/elf/rules.mk
include preload/command/rules.mk
