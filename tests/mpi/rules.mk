# tests/mpi: whole jobs

LINT_SRC += $(wildcard tests/mpi/*.c)
PROGRAMS += $(B)/tests/mpi/member $(B)/tests/mpi/bystander

$(B)/tests/mpi/member: tests/mpi/member.c
	@mkdir -p $(@D)
	$(call say,MPICC,$@)
	$(Q)$(MPICC) $(WARN) -o $@ $<

$(B)/tests/mpi/bystander: tests/mpi/bystander.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(WARN) -o $@ $<

.PHONY: test-mpi
TESTS += test-mpi
test-mpi: $(PROGRAMS)
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-start tests/mpi/start_test.py
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-jobs tests/mpi/job_test.py
	$(Q)B=$(B) TEST_TIMEOUT=300 tests/run mpi-relay tests/mpi/relay_test.py
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-differ tests/mpi/differ_test.py
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-children tests/mpi/children_test.py
