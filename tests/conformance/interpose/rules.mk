# SPDX-License-Identifier: BSD-3-Clause
# tests/conformance/interpose: the same small program with and without the library, one program a call family.

INTERPOSE := $(B)/interpose
INTERPOSE_FAMILIES := stat stat_old access open stream links dir dl fd write change
INTERPOSE_COMMON := $(addprefix $(B)/obj/tests/conformance/interpose/,family.o transcript.o)
INTERPOSE_LIBS := $(addprefix $(INTERPOSE)/lib/,module.so caller.so undefined.so missing.so \
    deps/libinterpose_leaf.so deps/libinterpose_second.so)
INTERPOSE_PROGRAMS := $(addprefix $(INTERPOSE)/,$(INTERPOSE_FAMILIES) fault_shim.so unnoted_writes.so) $(INTERPOSE_LIBS)

PROGRAMS += $(INTERPOSE_PROGRAMS)
PARALLEL_TESTS += test-interpose

$(B)/obj/tests/conformance/interpose/%.o: COMPONENT_CPPFLAGS = -I.
# UBSan would report the arguments that are wrong on purpose.
$(B)/obj/tests/conformance/interpose/%.o: COMPONENT_CFLAGS = $(if $(SANITIZE),-fno-sanitize=nonnull-attribute)
$(B)/obj/tests/conformance/interpose/fortified.o: COMPONENT_CPPFLAGS = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
$(B)/obj/tests/conformance/interpose/fortified.o: COMPONENT_CFLAGS = -O2
$(B)/obj/tests/conformance/interpose/fault_shim.o $(B)/obj/tests/conformance/interpose/unnoted_writes.o: COMPONENT_CFLAGS = -fPIC

$(INTERPOSE)/open: $(B)/obj/tests/conformance/interpose/fortified.o

# -rdynamic exports Py_Initialize, by which fastimport takes the program for a Python.
$(addprefix $(INTERPOSE)/,$(INTERPOSE_FAMILIES)): $(INTERPOSE)/%: $(B)/obj/tests/conformance/interpose/%.o $(INTERPOSE_COMMON)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -rdynamic $^ -o $@

$(INTERPOSE)/fault_shim.so $(INTERPOSE)/unnoted_writes.so: $(INTERPOSE)/%.so: $(B)/obj/tests/conformance/interpose/%.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -shared $^ -o $@

# Libraries for dlopen; -z undefs because some are broken on purpose, and without sanitizers, to stay small.
INTERPOSE_SHARED = $(CC) -shared -fPIC -Wl,--enable-new-dtags -Wl,-z,undefs $(INTERPOSE_SHARED_FLAGS)

$(INTERPOSE)/lib/deps/libinterpose_%.so: tests/conformance/interpose/libs/%.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(INTERPOSE_SHARED) -Wl,-soname,$(@F) $< -o $@

$(INTERPOSE)/lib/%.so: tests/conformance/interpose/libs/%.c $(INTERPOSE)/lib/deps/libinterpose_leaf.so
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(INTERPOSE_SHARED) $< -o $@ -L$(INTERPOSE)/lib/deps -Wl,--as-needed -linterpose_leaf \
	    -Wl,-rpath,'$$ORIGIN/deps'

# Needs a library that is nowhere to be found.
$(INTERPOSE)/lib/missing.so: tests/conformance/interpose/libs/module.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -fPIC -Wl,-soname,libinterpose_absent.so tests/conformance/interpose/libs/leaf.c \
	    -o $(@D)/libinterpose_absent.so
	$(Q)$(INTERPOSE_SHARED) $< -o $@ -L$(@D) -linterpose_absent
	$(Q)rm -f $(@D)/libinterpose_absent.so

.PHONY: test-interpose
test-interpose: all
	$(Q)B=$(B) tests/run interpose $(PYTEST) tests/conformance/interpose/interpose_test.py
