# SPDX-License-Identifier: BSD-3-Clause
# tests/conformance/differential: random calls on random trees, with and without the library.

DIFFERENTIAL := $(B)/differential
DIFFERENTIAL_OBJ := $(patsubst tests/conformance/differential/%.c,$(B)/obj/tests/conformance/differential/%.o,$(wildcard tests/conformance/differential/*.c))

PROGRAMS += $(DIFFERENTIAL)
PARALLEL_TESTS += test-differential

$(B)/obj/tests/conformance/differential/%.o: COMPONENT_CPPFLAGS = -I.
# UBSan would report the arguments that are wrong on purpose.
$(B)/obj/tests/conformance/differential/%.o: COMPONENT_CFLAGS = $(if $(SANITIZE),-fno-sanitize=nonnull-attribute)

$(DIFFERENTIAL): $(DIFFERENTIAL_OBJ) $(B)/obj/tests/conformance/interpose/transcript.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -rdynamic $^ -o $@

.PHONY: test-differential fuzz
test-differential: all
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run differential $(PYTEST) tests/conformance/differential/differential_test.py

# The long mode, for FUZZ_SECONDS or `make fuzz SEED=7 SEQUENCES=100000`.
SEED ?= 1
fuzz: all
	$(Q)/usr/bin/python3 -B tests/conformance/differential/fuzz.py --build $(B) \
	    --seed $(SEED) --sequences $(or $(SEQUENCES),1000000000 --seconds $(FUZZ_SECONDS))
	@echo '1 passed, 0 failed'
