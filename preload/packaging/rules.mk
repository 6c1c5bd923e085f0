# SPDX-License-Identifier: BSD-3-Clause
# preload/packaging: the version, and the archive of a release (`make dist`).

VERSION := $(shell preload/packaging/version)
DIST := fastimport-$(subst +,-,$(VERSION))

# Changes when the version does, so that only then version.c is compiled again.
$(B)/version: FORCE
	@mkdir -p $(@D); echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
$(B)/obj/preload/base/version.o: $(B)/version
$(B)/obj/preload/base/version.o: COMPONENT_CPPFLAGS += -DFI_VERSION='"$(VERSION)"'

.PHONY: FORCE version dist
FORCE:

version:
	@echo $(VERSION)

# What is committed, with its version in the file VERSION.
dist:
	$(Q)rm -rf $(B)/dist && mkdir -p $(B)/dist/$(DIST) && git archive HEAD | tar -x -C $(B)/dist/$(DIST)
	$(Q)echo '$(VERSION)' > $(B)/dist/$(DIST)/preload/packaging/VERSION
	$(Q)tar -C $(B)/dist --sort=name --owner=0 --group=0 --mtime="@$$(git log -1 --format=%ct)" -c $(DIST) | gzip -n9 > $(B)/$(DIST).tar.gz
	@rm -r $(B)/dist; echo $(B)/$(DIST).tar.gz
