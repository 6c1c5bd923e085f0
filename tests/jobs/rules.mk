# SPDX-License-Identifier: BSD-3-Clause
# tests/jobs: whole jobs of real Pythons and MPI programs. `make test-jobs` runs the files of this folder, `make test-jobs-exec` one.

JOBS_PROGRAMS := $(addprefix $(B)/tests/jobs/,mpi_sum plain_program static_program thread_stress)
PROGRAMS += $(JOBS_PROGRAMS)

$(B)/tests/jobs/mpi_sum: tests/jobs/mpi_sum.c
	@mkdir -p $(@D)
	$(call say,MPICC,$@)
	$(Q)$(MPICC) $(WARN) -o $@ $<

$(B)/tests/jobs/plain_program: tests/jobs/plain_program.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(WARN) -o $@ $<

$(B)/tests/jobs/static_program: tests/jobs/static_program.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(WARN) -static -o $@ $<

$(B)/tests/jobs/thread_stress: tests/jobs/thread_stress.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(WARN) $(CFLAGS) $(if $(filter thread,$(SANITIZE)),$(SAN)) -rdynamic -o $@ $< -pthread

# tests/jobs/unlike_ranks_test.py is test-jobs-unlike-ranks.
JOBS_TESTS := $(subst _,-,$(patsubst tests/jobs/%_test.py,test-jobs-%,$(wildcard tests/jobs/*_test.py)))
TESTS += $(filter-out $(PARALLEL_TESTS),$(JOBS_TESTS))
.PHONY: test-jobs $(JOBS_TESTS)
test-jobs: $(JOBS_TESTS)
$(JOBS_TESTS): test-jobs-%: all
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run jobs-$* $(PYTEST) tests/jobs/$(subst -,_,$*)_test.py

# Data races: the modules' own tests, and many threads in whole jobs, with ThreadSanitizer.
.PHONY: test-races
test-races: # not for make coverage: they count nothing
	$(Q)$(MAKE) --no-print-directory SANITIZE=thread test-races-in

.PHONY: test-races-in
test-races-in: $(B)/libfastimport.so $(B)/libfastimport-elf.so $(B)/tests/jobs/thread_stress $(UNIT_TESTS:%=$(B)/tests/unit/%)
	@for t in segment claim give_back fill stream lookup node mirror room; do B=build tests/run races-$$t $(B)/tests/unit/$$t; done
	@B=build TEST_TSAN=1 FASTIMPORT_BUILD=$(abspath $(B)) tests/run races-jobs env B= $(PYTEST) tests/jobs/threads_test.py

# What has folders of its own.
include tests/jobs/dlopen/rules.mk
include tests/jobs/faults/rules.mk
include tests/jobs/interpreters/rules.mk
include tests/jobs/launchers/rules.mk
