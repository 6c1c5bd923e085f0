# bench: programs and tests

include bench/libstorm/rules.mk
