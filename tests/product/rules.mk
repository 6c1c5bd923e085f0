# SPDX-License-Identifier: BSD-3-Clause
# tests/product: what users touch besides the library: the version, the command, the installation, pages, messages.
# tests/product/version_test.py is test-product-version.

PRODUCT_TESTS := $(subst _,-,$(patsubst tests/product/%_test.py,test-product-%,$(wildcard tests/product/*_test.py)))
TESTS += $(filter-out test-product-recipes,$(PRODUCT_TESTS))
TESTS_LONG += test-product-recipes
.PHONY: test-product $(PRODUCT_TESTS)
test-product: $(PRODUCT_TESTS)
$(PRODUCT_TESTS): test-product-%: all
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run product-$* $(PYTEST) tests/product/$(subst -,_,$*)_test.py
