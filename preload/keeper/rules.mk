# preload/keeper: fastimport-keeper, beside the library; started where a rank calls exec.

PROGRAMS += $(B)/fastimport-keeper

$(B)/obj/preload/keeper/%.o: COMPONENT_CPPFLAGS := -Ipreload

$(B)/fastimport-keeper: $(B)/obj/preload/keeper/keeper.o $(B)/obj/preload/mpi/pmi.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^
