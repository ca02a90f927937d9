# SPDX-License-Identifier: MIT
# Makefile: builds and installs libsse with GNU make and a C compiler. `make help` lists targets.
#
# The tests, the benchmarks, the checks of the sources and the hosts have parts of their own: PARTS.

PARTS := tests/tests.mk tests/recipes/recipes.mk tests/bench/bench.mk tests/lint/lint.mk \
  examples/hosts/hosts.mk examples/engines/engines.mk examples/broadcast/broadcast.mk \
  tests/chaos/chaos.mk

# --- The user's: CC, AR, CPPFLAGS, CFLAGS, LDFLAGS and where things go --------------------------

CFLAGS ?= -O2 -g
INSTALL ?= install
PKG_CONFIG ?= pkg-config
CC_FOR_BUILD ?= $(CC)

prefix ?= /usr/local
libdir ?= $(prefix)/lib
bindir ?= $(prefix)/bin
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
pkgconfigdir ?= $(libdir)/pkgconfig

BUILD ?= build
SECONDS ?= 60
SEEDS ?= 10000
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

# --- What is needed whatever the user says ------------------------------------------------------

OS := $(shell uname -s)
version_part = $(shell awk '$$2 == "SSE_VERSION_$(1)" {print $$3}' include/sse/version.h)
MAJOR := $(call version_part,MAJOR)
VERSION := $(MAJOR).$(call version_part,MINOR).$(call version_part,PATCH)

# The library is POSIX alone. Where a strict POSIX macro hides the system's own calls, it is lifted.
# Examples and tests use accept4 and MAP_ANONYMOUS, which glibc and musl have to be asked for.
POSIX := -D_POSIX_C_SOURCE=200809L
POSIX_Darwin := -D_DARWIN_C_SOURCE
POSIX_FreeBSD := -D__BSD_VISIBLE=1
POSIX_DragonFly := -D__BSD_VISIBLE=1
POSIX_NetBSD := -D_NETBSD_SOURCE
POSIX_OpenBSD := -D_BSD_SOURCE
POSIX += $(POSIX_$(OS))
SYSTEM_Linux := -D_GNU_SOURCE
SYSTEM := $(POSIX) $(SYSTEM_$(OS))

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes $(if $(WERROR),-Werror)
NEEDED := -std=c11 -Iinclude -pthread $(WARN)
# Assertions, SSE__HELD among them, are for builds with CPPFLAGS=-DSSE_DEBUG, as check-asan is.
NEEDED_LIB := $(POSIX) -Ilib -fPIC -fvisibility=hidden \
  $(if $(findstring SSE_DEBUG,$(CPPFLAGS)),,-DNDEBUG)
NEEDED_EXAMPLE := $(SYSTEM) -Iexamples/httpd -Iexamples/engines
NEEDED_TEST := $(SYSTEM) -Ilib -Itests/support -Itests/sim -Iexamples/httpd -Iexamples/engines

ifeq ($(OS),Darwin)
SHARED := libsse.$(VERSION).dylib
SHARED_LINKS := libsse.$(MAJOR).dylib libsse.dylib
SHARED_FLAGS := -dynamiclib -install_name $(libdir)/libsse.$(MAJOR).dylib \
  -compatibility_version $(MAJOR).0 -current_version $(VERSION)
else
SHARED := libsse.so.$(VERSION)
SHARED_LINKS := libsse.so.$(MAJOR) libsse.so
SHARED_FLAGS := -shared -Wl,-soname,libsse.so.$(MAJOR) -Wl,--version-script,lib/libsse.map
ifeq ($(OS),Linux)
SHARED_FLAGS += -Wl,-z,defs
endif
endif

# --- The lists; no rule names a source ----------------------------------------------------------

HEADERS := $(sort $(wildcard include/sse/*.h))
MAN := $(sort $(wildcard man/*.3 man/*.7))
WINGS := util wire hub stream
LIB_SOURCES := $(sort $(wildcard lib/*/*.c))
HTTPD_SOURCES := $(filter-out examples/httpd/embed.c,$(sort $(wildcard examples/httpd/*.c)))
DEMOS := $(filter-out httpd hosts engines deploy,\
  $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard examples/*/*.c))))))

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
programs = $(patsubst %.c,$(BUILD)/%,$(1))
depends = $(patsubst %.c,$(BUILD)/obj/%.d,$(1))

STATIC_LIB := $(BUILD)/libsse.a
SHARED_LIB := $(BUILD)/$(SHARED)
MINIMAL := $(call programs,$(wildcard examples/minimal.c))
CLIENT := $(addprefix $(BUILD)/gen/broadcast/,sse.js sse.jquery.js)
EXAMPLES := $(MINIMAL) $(DEMOS:%=$(BUILD)/examples/%) $(CLIENT)

# "alias.3=page.3" for every name in the NAME section of a page that is not the page's own.
ALIASES = $(shell awk 'FNR == 1 { on = 0; page = FILENAME; sub(/.*\//, "", page); \
    section = page; sub(/.*\./, ".", section) } \
  $$1 == ".Sh" { on = ($$2 == "NAME") } \
  on && $$1 == ".Nm" && $$2 section != page { print $$2 section "=" page }' $(MAN) </dev/null)

# --- Building -----------------------------------------------------------------------------------

all: lib examples ## Builds the library and the examples (the default)
lib: $(STATIC_LIB) $(SHARED_LIB) ## Builds the static and the shared library
examples: $(EXAMPLES) ## Builds the examples, but those for real HTTP servers

.PHONY: all lib examples demo install install-examples install-broadcast uninstall uninstall-examples \
  uninstall-broadcast dist clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:

ifeq ($(V),1)
say = @:
Q :=
else
say = @printf '  %-5s %s\n' $(1) $(2)
Q := @
endif

# Objects depend on the compiler and its flags, so that other flags build anew; the libraries depend
# on the list of their sources, so that a source that went away goes from them, too.
export SSE_FLAGS := $(CC) $(NEEDED) $(NEEDED_LIB) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)
export SSE_SOURCES := $(LIB_SOURCES)
$(BUILD)/flags: KEPT = SSE_FLAGS
$(BUILD)/sources: KEPT = SSE_SOURCES
$(BUILD)/flags $(BUILD)/sources: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$$(KEPT)" | cmp -s - $@ || printf '%s\n' "$$$(KEPT)" >$@

define compile
@mkdir -p $(@D)
$(call say,CC,$<)
$(Q)$(CC) $(NEEDED) $(1) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
endef
define link
@mkdir -p $(@D)
$(call say,LD,$@)
$(Q)$(CC) -pthread $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(STATIC_LIB) $(1) $(LDLIBS)
endef

$(BUILD)/obj/lib/%.o: lib/%.c $(BUILD)/flags
	$(call compile,$(NEEDED_LIB))

$(BUILD)/obj/examples/%.o: examples/%.c $(BUILD)/flags
	$(call compile,$(NEEDED_EXAMPLE) -I$(<D))

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c $(BUILD)/flags
	$(call compile,$(NEEDED_EXAMPLE))

$(STATIC_LIB): $(call objects,$(LIB_SOURCES)) $(BUILD)/sources
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

$(SHARED_LIB): $(call objects,$(LIB_SOURCES)) $(BUILD)/sources lib/libsse.map
	$(call say,LD,$@)
	$(Q)$(CC) -pthread $(CFLAGS) $(SHARED_FLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LDLIBS)
	$(Q)for link in $(SHARED_LINKS); do ln -sf $(SHARED) $(BUILD)/$$link || exit 1; done

$(MINIMAL): $(BUILD)/examples/%: $(BUILD)/obj/examples/%.o $(STATIC_LIB)
	$(call link)

# The pages of a demo, and the style that all share, become one C file, written by a program that is
# built for this machine.
PAGES = examples/httpd/base.css \
  $(sort $(wildcard $(foreach kind,html css js svg,examples/$(1)/*.$(kind)))) $(PAGES_$(1))
PAGES_broadcast := $(CLIENT)
define demo_rules
$(BUILD)/gen/$(1)/pages.c: $(call PAGES,$(1)) $(BUILD)/embed
	@mkdir -p $$(@D)
	$$(Q)$(BUILD)/embed $$@ $(call PAGES,$(1))

$(BUILD)/examples/$(1): $(call objects,$(sort $(wildcard examples/$(1)/*.c)) $(HTTPD_SOURCES)) \
  $(BUILD)/obj/gen/$(1)/pages.o $(STATIC_LIB)
	$$(call link,$$(LIBS_$(1)))
endef
$(foreach demo,$(DEMOS),$(eval $(call demo_rules,$(demo))))

# The browser client as one module, and as a classic script that defines sse, and $.sse with jQuery.
CLIENT_PARTS := $(patsubst %,examples/broadcast/client/%.js,sse tabs connection event_stream)
$(BUILD)/gen/broadcast/sse.js: $(CLIENT_PARTS)
	@mkdir -p $(@D)
	$(Q)sed -e '/^import /d' -e '/@import /d' -e '/function sse(/!s/^export //' $^ >$@

$(BUILD)/gen/broadcast/sse.jquery.js: $(BUILD)/gen/broadcast/sse.js
	$(Q){ echo '"use strict";'; echo '(() => {'; sed 's/^export //' $<; \
	  echo 'globalThis.sse = sse;'; echo 'if (globalThis.jQuery) jQuery.sse = sse;'; \
	  echo '})();'; } >$@

$(BUILD)/embed: examples/httpd/embed.c
	@mkdir -p $(@D)
	$(Q)$(CC_FOR_BUILD) -std=c11 $(WARN) -o $@ $<

demo: all ## Builds all and runs the dice-roll streamer; its arguments in ARGS=
	$(BUILD)/examples/dice-roll $(ARGS)

# --- Installing ---------------------------------------------------------------------------------

in_prefix = $(patsubst $(prefix)/%,$${prefix}/%,$(1))
install: lib ## Installs to DESTDIR and prefix, libdir, includedir, mandir, pkgconfigdir
	$(INSTALL) -d "$(DESTDIR)$(libdir)" "$(DESTDIR)$(pkgconfigdir)" "$(DESTDIR)$(includedir)/sse"
	$(INSTALL) -m 644 $(STATIC_LIB) "$(DESTDIR)$(libdir)/"
	$(INSTALL) -m 755 $(SHARED_LIB) "$(DESTDIR)$(libdir)/"
	@for link in $(SHARED_LINKS); do ln -sf $(SHARED) "$(DESTDIR)$(libdir)/$$link" || exit 1; done
	$(INSTALL) -m 644 $(HEADERS) "$(DESTDIR)$(includedir)/sse/"
	@sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(call in_prefix,$(libdir))|' \
	  -e 's|@includedir@|$(call in_prefix,$(includedir))|' -e 's|@version@|$(VERSION)|' \
	  pkgconfig/libsse.pc.in >"$(DESTDIR)$(pkgconfigdir)/libsse.pc"
	@chmod 644 "$(DESTDIR)$(pkgconfigdir)/libsse.pc"
	@for page in $(MAN); do \
	  dir="$(DESTDIR)$(mandir)/man$${page##*.}"; \
	  $(INSTALL) -d "$$dir" && $(INSTALL) -m 644 $$page "$$dir/" || exit 1; done
	@for pair in $(ALIASES); do \
	  alias=$${pair%%=*}; page=$${pair#*=}; section=man$${page##*.}; \
	  file="$(DESTDIR)$(mandir)/$$section/$$alias"; \
	  echo ".so $$section/$$page" >"$$file" && chmod 644 "$$file" || exit 1; done

uninstall: ## Removes what install put there
	@for file in libsse.a $(SHARED) $(SHARED_LINKS); do \
	  rm -f "$(DESTDIR)$(libdir)/$$file" || exit 1; done
	@rm -f "$(DESTDIR)$(pkgconfigdir)/libsse.pc"
	@for file in $(notdir $(HEADERS)); do rm -f "$(DESTDIR)$(includedir)/sse/$$file" || exit 1; done
	@rmdir "$(DESTDIR)$(includedir)/sse" 2>/dev/null || :
	@for page in $(notdir $(MAN)) $(ALIASES); do \
	  page=$${page%%=*}; rm -f "$(DESTDIR)$(mandir)/man$${page##*.}/$$page" || exit 1; done

install-examples: $(DEMOS:%=$(BUILD)/examples/%) ## Installs the demos to DESTDIR and bindir
	$(INSTALL) -d "$(DESTDIR)$(bindir)"
	@for demo in $(DEMOS); do \
	  $(INSTALL) -m 755 $(BUILD)/examples/$$demo "$(DESTDIR)$(bindir)/" || exit 1; done

uninstall-examples: ## Removes them
	@for demo in $(DEMOS); do rm -f "$(DESTDIR)$(bindir)/$$demo" || exit 1; done

install-broadcast: $(BUILD)/examples/broadcast ## Installs the broadcast server and its manual
	$(INSTALL) -d "$(DESTDIR)$(bindir)" "$(DESTDIR)$(mandir)/man1"
	$(INSTALL) -m 755 $(BUILD)/examples/broadcast "$(DESTDIR)$(bindir)/"
	$(INSTALL) -m 644 man/broadcast.1 "$(DESTDIR)$(mandir)/man1/"

uninstall-broadcast: ## Removes them
	rm -f "$(DESTDIR)$(bindir)/broadcast" "$(DESTDIR)$(mandir)/man1/broadcast.1"

dist: ## Packs the committed sources as build/libsse-VERSION.tar.gz, and tests the tarball
	@MAKE="$(MAKE)" CC="$(CC)" sh tests/install/dist.sh $(VERSION) $(BUILD) $(JOBS)

clean: ## Removes what was built
	rm -rf $(BUILD)

help: ## Prints this list
	@awk -F ':.*## ' 'FNR == 1 { print FILENAME ":" } \
	  /^[a-z_.-]+( [a-z_.-]+)*:.*## / { count = split($$1, names, " "); \
	    for (i = 1; i <= count; i++) printf "  %-16s %s\n", names[i], $$2 }' Makefile $(PARTS)

-include $(call depends,$(LIB_SOURCES) $(HTTPD_SOURCES) $(wildcard examples/minimal.c) \
  $(foreach demo,$(DEMOS),$(wildcard examples/$(demo)/*.c)))

include $(PARTS)
