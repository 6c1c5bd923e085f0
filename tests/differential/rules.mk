# tests/differential: random calls on random trees, with and without the library.

DIFFERENTIAL := $(B)/differential
DIFFERENTIAL_OBJ := $(patsubst tests/differential/%.c,$(B)/obj/tests/differential/%.o,$(wildcard tests/differential/*.c))

PROGRAMS += $(DIFFERENTIAL)
TESTS += test-differential

$(B)/obj/tests/differential/%.o: COMPONENT_CPPFLAGS = -I.
# UBSan would report the arguments that are wrong on purpose.
$(B)/obj/tests/differential/%.o: COMPONENT_CFLAGS = $(if $(SANITIZE),-fno-sanitize=nonnull-attribute)

$(DIFFERENTIAL): $(DIFFERENTIAL_OBJ) $(B)/obj/tests/interpose/transcript.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -rdynamic $^ -o $@

.PHONY: test-differential fuzz
test-differential: $(DIFFERENTIAL) $(JUDGE_PROGRAMS) $(JUDGED)
	$(Q)TEST_TIMEOUT=600 $(JUDGE_RUN) tests/differential/fuzz.py --build $(B) $(addprefix --library ,$(JUDGED))

# The long mode, for FUZZ_SECONDS or `make fuzz SEED=7 SEQUENCES=100000`.
SEED ?= 1
fuzz: $(DIFFERENTIAL) $(JUDGE_PROGRAMS) $(JUDGED)
	$(Q)/usr/bin/python3 -B tests/differential/fuzz.py --build $(B) $(addprefix --library ,$(JUDGED)) \
	    --seed $(SEED) --sequences $(or $(SEQUENCES),1000000000 --seconds $(FUZZ_SECONDS))
