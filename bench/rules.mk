# bench: programs and tests
FUSE_CFLAGS := $(shell pkg-config --cflags fuse3 2>/dev/null)
FUSE_LIBS := $(shell pkg-config --libs fuse3 2>/dev/null || echo -lfuse3)
SHAREDFS_OBJ := $(patsubst %,$(B)/obj/bench/sharedfs/%.o,main serve fs read write state)

PROGRAMS += $(B)/sharedfs

$(SHAREDFS_OBJ): CPPFLAGS_ROOM = $(FUSE_CFLAGS)

$(B)/sharedfs: $(SHAREDFS_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $^ $(LDFLAGS) $(FUSE_LIBS) -pthread -o $@

PROGRAMS += $(B)/emulated-node

$(B)/emulated-node: $(B)/obj/bench/nodes/node.o
	$(call say,LD,$@)
	$(Q)$(CC) $^ $(LDFLAGS) -o $@

PROGRAMS += $(B)/execonly.so

# Without sanitizers: it is preloaded into programs that have none.
$(B)/obj/bench/execonly.o $(B)/execonly.so: SAN :=
$(B)/obj/bench/execonly.o: CFLAGS_ROOM = -fPIC
$(B)/execonly.so: $(B)/obj/bench/execonly.o
	$(call say,LD,$@)
	$(Q)$(CC) -shared $^ $(LDFLAGS) -o $@

include bench/libstorm/rules.mk
include bench/hotpath/rules.mk
