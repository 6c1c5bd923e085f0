# tests/suites: other people's test suites under the library. What takes minutes is left to `make check-long`.

TESTS += test-suites
TESTS_LONG += test-suites-long

.PHONY: test-suites test-suites-long
test-suites: $(B)/libfastimport.so
	$(Q)B=$(B) tests/run $@ /usr/bin/python3 -B tests/suites/cpython.py --library $<

test-suites-long: $(B)/libfastimport.so
	$(Q)B=$(B) TEST_TIMEOUT=7200 tests/run $@ /usr/bin/python3 -B tests/suites/cpython.py --long --library $<
