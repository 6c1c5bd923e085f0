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

# --- make install, make uninstall ---

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
DOCDIR ?= $(DATADIR)/doc/fastimport

# source:place:mode. A tree that is installed may be moved as a whole.
INSTALL_LIBRARY := $(foreach l,libfastimport.so libfastimport-elf.so,$(B)/$(l):$(LIBDIR)/fastimport/$(l):755)
INSTALL_ALL := $(INSTALL_LIBRARY) $(foreach p,fastimport python-mpi-bcast,$(B)/$(p):$(BINDIR)/$(p):755) \
    $(foreach m,$(wildcard preload/doc/man/*.[17]),$(m):$(MANDIR)/man$(subst .,,$(suffix $(m)))/$(notdir $(m)):644) \
    $(foreach p,fastimport python-mpi-bcast,preload/packaging/completion.bash:$(DATADIR)/bash-completion/completions/$(p):644) \
    preload/packaging/modulefiles/fastimport.lua:$(DATADIR)/lmod/modulefiles/fastimport/$(VERSION).lua:644 \
    preload/packaging/modulefiles/fastimport.tcl:$(DATADIR)/modulefiles/fastimport/$(VERSION):644 \
    preload/packaging/epilog:$(DATADIR)/fastimport/epilog:755 \
    preload/report/schema.json:$(DATADIR)/fastimport/report-schema.json:644 \
    $(foreach d,COPYING README.md preload/SETTINGS.md $(wildcard preload/doc/*.md),$(d):$(DOCDIR)/$(notdir $(d)):644)

install_one = $(Q)install -D -m $(word 3,$(1)) $(word 1,$(1)) '$(DESTDIR)$(word 2,$(1))'
define newline


endef

.PHONY: install install-library install-spank uninstall
install: $(foreach p,libfastimport.so libfastimport-elf.so fastimport python-mpi-bcast,$(B)/$(p))
	$(foreach i,$(INSTALL_ALL),$(call install_one,$(subst :, ,$(i)))$(newline)	)

# Needs a C compiler and libelf only.
install-library: $(B)/libfastimport.so $(B)/libfastimport-elf.so
	$(foreach i,$(INSTALL_LIBRARY),$(call install_one,$(subst :, ,$(i)))$(newline)	)

# A plugin for Slurm, `srun --fastimport`. Needs slurm/spank.h of the Slurm that will load it.
$(B)/fastimport-spank.so: preload/packaging/spank/fastimport_spank.c
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -fPIC -shared -Wl,-z,relro,-z,now -o $@ $<

INSTALL_SPANK := $(B)/fastimport-spank.so:$(LIBDIR)/fastimport/fastimport-spank.so:755
install-spank: $(B)/fastimport-spank.so
	$(call install_one,$(subst :, ,$(INSTALL_SPANK)))

uninstall:
	$(Q)rm -f $(foreach i,$(INSTALL_ALL) $(INSTALL_SPANK),'$(DESTDIR)$(word 2,$(subst :, ,$(i)))')
	$(Q)for d in '$(LIBDIR)' '$(DATADIR)' '$(DATADIR)/modulefiles' '$(DATADIR)/lmod/modulefiles'; do \
	  rmdir "$(DESTDIR)$$d/fastimport" 2>/dev/null; done; rmdir '$(DESTDIR)$(DOCDIR)' 2>/dev/null; true
