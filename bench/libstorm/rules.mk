# bench/libstorm: a storm of shared libraries. `make libstorm` builds the default one, ~290 libraries.

TESTS += test-libstorm
.PHONY: test-libstorm libstorm
test-libstorm:
	@mkdir -p $(B)/bench
	@B=$(B) tests/run libstorm bench/libstorm/test_storm $(B)/bench/libstorm-small

libstorm:
	$(Q)bench/libstorm/storm_gen $(B)/bench/libstorm
