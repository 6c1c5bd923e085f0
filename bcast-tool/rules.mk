# SPDX-License-Identifier: BSD-3-Clause
# bcast-tool: programs and tests

PMB_SRC := $(wildcard bcast-tool/base/*.c bcast-tool/archive/*.c bcast-tool/manifest/*.c \
             bcast-tool/relocate/*.c bcast-tool/tree/*.c bcast-tool/pack/*.c bcast-tool/nodes/*.c \
             bcast-tool/stage/*.c bcast-tool/cli/*.c)
# What the tool has in common with the library.
PMB_SHARED := base/boot_id base/dirtree base/sys process/rank_variables
PMB_OBJ := $(PMB_SRC:%.c=$(B)/obj/%.o) $(PMB_SHARED:%=$(B)/obj/preload/%.o)
PMB_LIBS := -larchive -lz -lzstd -lxxhash -ljansson $(LIBC_LIBS)

PROGRAMS += $(B)/python-mpi-bcast

$(B)/obj/bcast-tool/%.o: COMPONENT_CPPFLAGS = -Ibcast-tool -Ipreload $(MPI_CFLAGS)

$(B)/python-mpi-bcast: $(B)/obj/bcast-tool/main.o $(PMB_OBJ)
	$(call say,LINK,$@)
	$(Q)$(MPICC) $(SAN) -o $@ $^ $(LDFLAGS) $(PMB_LIBS) $(MPI_LIBS)
