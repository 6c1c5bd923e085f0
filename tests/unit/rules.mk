# tests/unit: every module of preload/ without the constructor and the wrappers, with cmocka; faults by ld's --wrap.

UNIT_TESTS := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_OBJ := $(B)/obj/tests/unit
UNIT_FAULTS := $(shell awk -F', ' '/^X/ {print $$2}' tests/unit/faults.def) \
    sys_mmap malloc calloc realloc strdup pthread_create
LINT_SRC += $(wildcard tests/unit/*.c)

TESTS += $(UNIT_TESTS:%=test-unit-%)
.PHONY: $(UNIT_TESTS:%=test-unit-%) test-unit
test-unit: $(UNIT_TESTS:%=test-unit-%)

$(UNIT_OBJ)/%.o: CPPFLAGS_ROOM = $(PRELOAD_CPPFLAGS)

$(UNIT_TESTS:%=$(B)/tests/unit/%): $(B)/tests/unit/%: $(UNIT_OBJ)/test_%.o $(UNIT_OBJ)/scratch.o $(UNIT_OBJ)/faults.o $(UNIT_OBJ)/samples.o $(PRELOAD_CORE_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(UNIT_FAULTS:%=-Wl,--wrap=%) -rdynamic -o $@ $^ -lcmocka -pthread

$(B)/tests/unit/roots: LDFLAGS += -Wl,--wrap=sys_read_file

$(UNIT_TESTS:%=test-unit-%): test-unit-%: $(B)/tests/unit/%
	@B=$(B) TEST_TIMEOUT=60 tests/run unit-$* $<
