# SPDX-License-Identifier: BSD-3-Clause
# bcast-tool: programs and tests

PMB_SRC := $(wildcard bcast-tool/base/*.c bcast-tool/archive/*.c bcast-tool/manifest/*.c \
             bcast-tool/relocate/*.c bcast-tool/tree/*.c bcast-tool/pack/*.c bcast-tool/nodes/*.c \
             bcast-tool/stage/*.c bcast-tool/cli/*.c)
# What the tool has in common with the library comes from $(B)/preload-core.a. MPI is found at run time.
PMB_OBJ := $(PMB_SRC:%.c=$(B)/obj/%.o)
PMB_LIBS := -larchive -lz -lzstd -lxxhash -ljansson $(LIBC_LIBS)

PROGRAMS += $(B)/python-mpi-bcast

$(B)/obj/bcast-tool/%.o: COMPONENT_CPPFLAGS = -Ibcast-tool -Ipreload

$(B)/python-mpi-bcast: $(B)/obj/bcast-tool/main.o $(PMB_OBJ) $(B)/preload-core.a
	$(call say,LINK,$@)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS) $(PMB_LIBS)
