# tests/pythons: interpreters and environments, each a job of two ranks against the same without fastimport.

.PHONY: test-pythons
TESTS += test-pythons
test-pythons: $(PROGRAMS)
	$(Q)B=$(B) tests/run pythons tests/pythons/pythons_test.py
	$(Q)B=$(B) tests/run python-packages tests/pythons/packages_test.py
