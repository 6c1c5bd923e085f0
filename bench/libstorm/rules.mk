# SPDX-License-Identifier: BSD-3-Clause
# bench/libstorm: a storm of shared libraries. `make libstorm` builds the default one, about 290 libraries.

.PHONY: libstorm
libstorm:
	$(Q)bench/libstorm/storm_gen $(B)/bench/libstorm
