# tests/mpi: whole jobs

PROGRAMS += $(B)/tests/mpi/member $(B)/tests/mpi/bystander $(B)/tests/mpi/other $(B)/tests/mpi/crowd

$(B)/tests/mpi/member: tests/mpi/member.c
	@mkdir -p $(@D)
	$(call say,MPICC,$@)
	$(Q)$(MPICC) $(WARN) -o $@ $<

$(B)/tests/mpi/bystander: tests/mpi/bystander.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(WARN) -o $@ $<

$(B)/tests/mpi/other: tests/mpi/other.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(WARN) -static -o $@ $<

$(B)/tests/mpi/crowd: tests/mpi/crowd.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(WARN) $(CFLAGS) $(if $(filter thread,$(SANITIZE)),$(SAN)) -rdynamic -o $@ $< -pthread

# Data races: the modules' own tests and a crowd of threads in whole jobs, with ThreadSanitizer.
.PHONY: test-races
TESTS += $(if $(COVERAGE),,test-races) # they count nothing
test-races:
	$(Q)$(MAKE) --no-print-directory SANITIZE=thread test-races-in

.PHONY: test-races-in
test-races-in: $(B)/libfastimport.so $(B)/libfastimport-elf.so $(B)/tests/mpi/crowd $(UNIT_TESTS:%=$(B)/tests/unit/%)
	@for t in segment fill stream lookup node mirror; do B=build tests/run races-$$t $(B)/tests/unit/$$t; done
	@B=build FASTIMPORT_BUILD=$(abspath $(B)) tests/run races-jobs tests/mpi/threads_test.py --tsan

.PHONY: test-mpi
TESTS += test-mpi
test-mpi: $(PROGRAMS)
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-start tests/mpi/start_test.py
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-jobs tests/mpi/job_test.py
	$(Q)B=$(B) TEST_TIMEOUT=300 tests/run mpi-names tests/mpi/names_test.py
	$(Q)B=$(B) TEST_TIMEOUT=300 tests/run mpi-report tests/mpi/report_test.py
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-exec tests/mpi/exec_test.py
	$(Q)B=$(B) TEST_TIMEOUT=300 tests/run mpi-relay tests/mpi/relay_test.py
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-differ tests/mpi/differ_test.py
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-children tests/mpi/children_test.py
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-view tests/mpi/view_test.py
	$(Q)B=$(B) TEST_TIMEOUT=300 tests/run mpi-ways tests/mpi/ways_test.py
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-quiet tests/mpi/quiet_test.py
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-threads tests/mpi/threads_test.py
