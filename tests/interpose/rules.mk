# tests/interpose: the same small program with and without the library, one program a call family.

JUDGE := $(B)/interpose
JUDGE_FAMILIES := stat stat_old access open stream links dir dl fd write change
JUDGE_COMMON := $(addprefix $(B)/obj/tests/interpose/,family.o transcript.o)
JUDGE_LIBS := $(addprefix $(JUDGE)/lib/,module.so caller.so undefined.so missing.so \
    deps/libjudge_leaf.so deps/libjudge_other.so)
JUDGE_PROGRAMS := $(addprefix $(JUDGE)/,$(JUDGE_FAMILIES) liar.so around.so) $(JUDGE_LIBS)
JUDGED := $(filter $(B)/libfastimport.so,$(PROGRAMS))
JUDGE_RUN = B=$(B) tests/run $@ /usr/bin/python3 -B

PROGRAMS += $(JUDGE_PROGRAMS)
TESTS += test-interpose

$(B)/obj/tests/interpose/%.o: COMPONENT_CPPFLAGS = -I.
# UBSan would report the arguments that are wrong on purpose.
$(B)/obj/tests/interpose/%.o: COMPONENT_CFLAGS = $(if $(SANITIZE),-fno-sanitize=nonnull-attribute)
$(B)/obj/tests/interpose/fortified.o: COMPONENT_CPPFLAGS = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
$(B)/obj/tests/interpose/fortified.o: COMPONENT_CFLAGS = -O2
$(B)/obj/tests/interpose/liar.o $(B)/obj/tests/interpose/around.o: COMPONENT_CFLAGS = -fPIC

$(JUDGE)/open: $(B)/obj/tests/interpose/fortified.o

# -rdynamic exports Py_Initialize, by which fastimport takes the program for a Python.
$(addprefix $(JUDGE)/,$(JUDGE_FAMILIES)): $(JUDGE)/%: $(B)/obj/tests/interpose/%.o $(JUDGE_COMMON)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -rdynamic $^ -o $@

$(JUDGE)/liar.so $(JUDGE)/around.so: $(JUDGE)/%.so: $(B)/obj/tests/interpose/%.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -shared $^ -o $@

# Libraries for dlopen; -z undefs because some are broken on purpose, and without sanitizers, to stay small.
JUDGE_SHARED = $(CC) -shared -fPIC -Wl,--enable-new-dtags -Wl,-z,undefs $(JUDGE_SHARED_FLAGS)

$(JUDGE)/lib/deps/libjudge_%.so: tests/interpose/libs/%.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(JUDGE_SHARED) -Wl,-soname,$(@F) $< -o $@

$(JUDGE)/lib/%.so: tests/interpose/libs/%.c $(JUDGE)/lib/deps/libjudge_leaf.so
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(JUDGE_SHARED) $< -o $@ -L$(JUDGE)/lib/deps -Wl,--as-needed -ljudge_leaf \
	    -Wl,-rpath,'$$ORIGIN/deps'

# Needs a library that is nowhere to be found.
$(JUDGE)/lib/missing.so: tests/interpose/libs/module.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -fPIC -Wl,-soname,libjudge_absent.so tests/interpose/libs/leaf.c \
	    -o $(@D)/libjudge_absent.so
	$(Q)$(JUDGE_SHARED) $< -o $@ -L$(@D) -ljudge_absent
	$(Q)rm -f $(@D)/libjudge_absent.so

.PHONY: test-interpose
test-interpose: $(JUDGE_PROGRAMS) $(JUDGED)
	$(Q)$(JUDGE_RUN) tests/interpose/judge.py --build $(B) $(addprefix --library ,$(JUDGED))
