# SPDX-License-Identifier: MIT
# Makefile: builds and installs libsse with GNU make and a C compiler. `make help` lists targets.
#
# The tests, the benchmarks, the checks of the sources and the hosts have parts of their own: PARTS.

PARTS := tests/tests.mk tests/bench/bench.mk tests/lint/lint.mk examples/hosts/hosts.mk

# --- The user's: CC, AR, CPPFLAGS, CFLAGS, LDFLAGS and where things go --------------------------

CFLAGS ?= -O2 -g
INSTALL ?= install
PKG_CONFIG ?= pkg-config
CC_FOR_BUILD ?= $(CC)

prefix ?= /usr/local
libdir ?= $(prefix)/lib
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
NEEDED_LIB := $(POSIX) -Ilib -fPIC -fvisibility=hidden
NEEDED_EXAMPLE := $(SYSTEM) -Iexamples/httpd
NEEDED_TEST := $(SYSTEM) -Ilib -Itests/support -Itests/sim -Iexamples/httpd

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
DEMOS := $(filter-out httpd hosts deploy,\
  $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard examples/*/*.c))))))

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
programs = $(patsubst %.c,$(BUILD)/%,$(1))
depends = $(patsubst %.c,$(BUILD)/obj/%.d,$(1))

STATIC_LIB := $(BUILD)/libsse.a
SHARED_LIB := $(BUILD)/$(SHARED)
MINIMAL := $(call programs,$(wildcard examples/minimal.c))
EXAMPLES := $(MINIMAL) $(DEMOS:%=$(BUILD)/examples/%)

# "alias.3=page.3" for every name in the NAME section of a page that is not the page's own.
ALIASES = $(shell awk 'FNR == 1 { on = 0; page = FILENAME; sub(/.*\//, "", page); \
    section = page; sub(/.*\./, ".", section) } \
  $$1 == ".Sh" { on = ($$2 == "NAME") } \
  on && $$1 == ".Nm" && $$2 section != page { print $$2 section "=" page }' $(MAN) </dev/null)

# --- Building -----------------------------------------------------------------------------------

all: lib examples ## Builds the library and the examples (the default)
lib: $(STATIC_LIB) $(SHARED_LIB) ## Builds the static and the shared library
examples: $(EXAMPLES) ## Builds the examples, but those for real HTTP servers

.PHONY: all lib examples demo install uninstall dist clean help FORCE
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
  $(sort $(wildcard $(foreach kind,html css js svg,examples/$(1)/*.$(kind))))
define demo_rules
$(BUILD)/gen/$(1)/pages.c: $(call PAGES,$(1)) $(BUILD)/embed
	@mkdir -p $$(@D)
	$$(Q)$(BUILD)/embed $$@ $(call PAGES,$(1))

$(BUILD)/examples/$(1): $(call objects,$(sort $(wildcard examples/$(1)/*.c)) $(HTTPD_SOURCES)) \
  $(BUILD)/obj/gen/$(1)/pages.o $(STATIC_LIB)
	$$(call link)
endef
$(foreach demo,$(DEMOS),$(eval $(call demo_rules,$(demo))))

$(BUILD)/embed: examples/httpd/embed.c
	@mkdir -p $(@D)
	$(Q)$(CC_FOR_BUILD) -std=c11 $(WARN) -o $@ $<

demo: all ## Builds all and runs the dice-roll streamer; its arguments in ARGS=
	$(BUILD)/examples/dice-roll $(ARGS)

<<<<<<< HEAD
# --- Testing ------------------------------------------------------------------------------------

# Asked for when a test is compiled, not before, so that `make deps check` finds what deps installs.
CMOCKA_CFLAGS ?= $(shell $(PKG_CONFIG) --cflags cmocka 2>/dev/null)
CMOCKA_LIBS ?= $(shell $(PKG_CONFIG) --libs cmocka 2>/dev/null || echo -lcmocka)

deps: ## Installs what the tests need (cmocka, pkg-config, curl) with the system's package manager
	@CC="$(CC)" PKG_CONFIG="$(PKG_CONFIG)" sh tests/deps.sh

$(BUILD)/obj/tests/%.o: tests/%.c $(BUILD)/flags | $(filter deps,$(MAKECMDGOALS))
	$(call compile,$(NEEDED_TEST) $(CMOCKA_CFLAGS))

$(filter $(BUILD)/tests/%,$(call programs,$(TEST_SOURCES))): \
  $(BUILD)/%: $(BUILD)/obj/%.o $(HELPERS) $(STATIC_LIB)
	$(call link,$(CMOCKA_LIBS))

$(call programs,$(SIM_SOURCES) tests/fuzz/fuzz_hub.c): $(call objects,$(SIM_HELPERS))

# One has the system refuse what one that works does not.
WRAPPED := pthread_mutex_init pthread_condattr_init pthread_condattr_setclock pthread_cond_init \
  strlen send recv poll
$(BUILD)/tests/unit/test_os: LDLIBS += $(WRAPPED:%=-Wl,--wrap=%)

# In these the test decides which thread goes on, at each call of the library by which threads meet.
INTERLEAVED := mutex_init mutex_destroy mutex_lock mutex_trylock mutex_unlock cond_wait \
  cond_timedwait cond_signal cond_broadcast cond_destroy
$(call programs,$(INTERLEAVE_SOURCES)): $(call objects,$(INTERLEAVE_HELPERS))
$(call programs,$(INTERLEAVE_SOURCES)): LDLIBS += -Wl,--wrap=clock_gettime \
  $(INTERLEAVED:%=-Wl,--wrap=pthread_%)

# Only the demos' tests start examples.
check: $(TESTS) $(if $(filter %/demo/,$(dir $(TESTS))),examples)
check: ## Runs the tests, or some of them: TESTS=build/tests/unit/test_error
	@SSE_BUILD="$(BUILD)/" SSE_LOGS="$(BUILD)/logs" sh tests/run.sh $(TESTS)

sim: $(BUILD)/tests/sim/test_sim ## Runs SEEDS=10000 random histories, each judged as a whole
	@SSE_HISTORIES=$(SEEDS) $<

SANITIZED := check
ASAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
check-asan: ## Runs the tests with the address and the undefined behaviour sanitizer
	+@ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:$$ASAN_OPTIONS \
	UBSAN_OPTIONS=print_stacktrace=1:$$UBSAN_OPTIONS \
	SSE_PREEMPTIONS=$${SSE_PREEMPTIONS:-1} SSE_WALKS=$${SSE_WALKS:-1000} \
	$(MAKE) --no-print-directory BUILD=$(BUILD)/asan CFLAGS="-O1 -g $(ASAN)" \
	  LDFLAGS="$(LDFLAGS)" $(SANITIZED)

# Without fixed addresses some kernels place memory where the sanitizer does not expect it. The
# interleavings are left out: their threads are fibers of one thread, in which there is no race.
check-tsan: ## Runs the tests with the thread sanitizer
	+@TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:$$TSAN_OPTIONS \
	SSE_TORTURE=$${SSE_TORTURE:-17} \
	SSE_WRAPPER="$$(setarch -R true 2>/dev/null && echo setarch -R)" \
	$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan LEFT_OUT=tests/interleave/% \
	  CFLAGS="-O1 -g -fsanitize=thread -fno-omit-frame-pointer" LDFLAGS="$(LDFLAGS)" $(SANITIZED)

check-clang: ## Builds all with clang, warnings being errors, and runs the tests
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/clang CC=clang WERROR=1 all check

# Without fair scheduling one thread that never waits can keep all others from their turn.
VALGRIND := valgrind --quiet --fair-sched=try --error-exitcode=99 --leak-check=full \
  --show-leak-kinds=all --errors-for-leak-kinds=all
check-valgrind: ## Runs the unit and the thread tests with valgrind, a part of the longest
	+@SSE_HISTORIES=$${SSE_HISTORIES:-500} SSE_TORTURE=$${SSE_TORTURE:-37} \
	SSE_PREEMPTIONS=$${SSE_PREEMPTIONS:-0} SSE_WALKS=$${SSE_WALKS:-100} \
	SSE_WRAPPER="$(VALGRIND)" $(MAKE) --no-print-directory \
	  TESTS="$(filter-out $(BUILD)/tests/demo/%,$(TESTS))" check

# Of lib/ alone, as compiled here. Without optimisation a branch is one that stands in the source.
# What an earlier run counted goes first, and threads count exactly.
COVERAGE := $(BUILD)/coverage
COVERED := gcovr --root . --add-tracefile $(COVERAGE)/coverage.json
coverage: ## Tells what the unit and the thread tests leave out of lib/, and fails if it is much
	@command -v gcovr >/dev/null || { \
	  echo "coverage: no gcovr; make deps-coverage installs it" >&2; exit 1; }
	@mkdir -p $(COVERAGE) && find $(COVERAGE) -name '*.gcda' -exec rm -f {} +
	+@$(MAKE) --no-print-directory BUILD=$(COVERAGE) CC=gcc CPPFLAGS= LDFLAGS= \
	  CFLAGS="-O0 -g --coverage -fprofile-update=atomic" \
	  TESTS="$(patsubst $(BUILD)/%,$(COVERAGE)/%,$(filter-out $(BUILD)/tests/demo/%,$(TESTS)))" check
	@gcovr --root . --filter lib/ --exclude-unreachable-branches --exclude-throw-branches \
	  --json $(COVERAGE)/coverage.json $(COVERAGE)/obj/lib
	@$(COVERED) --fail-under-line 100; lines=$$?; \
	$(COVERED) --branches --fail-under-branch 98 && exit $$lines

deps-coverage: ## Installs gcovr, with apt-get and as root
	@command -v gcovr >/dev/null || { apt-get update -q && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends gcovr; }

check-install: lib ## Installs to a temporary place and builds programs against it
	+@MAKE="$(MAKE)" CC="$(CC)" BUILD="$(BUILD)" PKG_CONFIG="$(PKG_CONFIG)" \
	  sh tests/install/run.sh

$(METRICS): $(BUILD)/%: $(BUILD)/obj/%.o $(STATIC_LIB)
	$(call link)

check-metrics: $(METRICS) ## Has promtool check the text for Prometheus
	@SSE_BUILD="$(BUILD)" sh tests/metrics/run.sh $(METRICS)

deps-metrics: ## Fetches promtool, with apt-get
	@sh tests/metrics/deps.sh $(BUILD)

check-proxies: examples ## Tries examples/deploy: nginx, HAProxy, supervisord, systemd, rc.d
	@SSE_BUILD="$(BUILD)" bash tests/proxies/run

deps-proxies: ## Installs what check-proxies needs, with apt-get
	@bash tests/proxies/deps

CLIENTS_PAGES := $(sort $(wildcard tests/clients/*.html tests/clients/*.js))
$(BUILD)/gen/clients/pages.c: $(CLIENTS_PAGES) $(BUILD)/embed
	@mkdir -p $(@D)
	$(Q)$(BUILD)/embed $@ $(CLIENTS_PAGES)

$(CLIENTS_SERVER): $(call objects,$(CLIENTS_SOURCES)) $(BUILD)/obj/gen/clients/pages.o $(STATIC_LIB)
	$(call link)

check-clients: $(CLIENTS_SERVER) ## Tries Chromium, Firefox and client libraries from npm
	@SSE_BUILD="$(BUILD)" bash tests/clients/run $(ARGS)

# One program tests all hosts; it takes the host from its own name.
HOST_TEST := $(BUILD)/tests/hosts/test_hosts
$(BUILD)/obj/tests/hosts/%.o: tests/hosts/%.c $(BUILD)/flags
	$(call compile,$(NEEDED_TEST) $(CMOCKA_CFLAGS) $(shell $(PKG_CONFIG) --cflags libcurl))
$(HOST_TEST): $(call objects,$(sort $(wildcard tests/hosts/*.c))) $(STATIC_LIB)
	$(call link,$(CMOCKA_LIBS) $(shell $(PKG_CONFIG) --libs libcurl))
$(HOST_NAMES:%=$(BUILD)/tests/hosts/test_%): $(HOST_TEST)
	@ln -sf test_hosts $@

# Most of their time the tests wait, so several can run at once: HOST_JOBS=4. What they measure is
# exact when they run alone.
HOST_JOBS ?= 1
HOST_TESTS = $(HOSTS_HERE:%=$(BUILD)/tests/hosts/test_%)
check-hosts: hosts ## Tests the hosts that can be built, and prints what was measured
	+@$(MAKE) -s --no-print-directory $(HOST_TESTS)
	@printf '%s\n' $(HOST_TESTS) | SSE_BUILD="$(BUILD)/" SSE_LOGS="$(BUILD)/logs" \
	  xargs -n 1 -P $(HOST_JOBS) sh tests/run.sh >$(BUILD)/check-hosts; status=$$?; \
	grep -hs '^|' $(HOST_TESTS:$(BUILD)/tests/hosts/%=$(BUILD)/logs/%.log); \
	grep -v '^[0-9]* passed' $(BUILD)/check-hosts; \
	awk '/^[0-9]+ passed/ { good += $$1; bad += $$3 } \
	  END { print good + 0 " passed, " bad + 0 " failed" }' $(BUILD)/check-hosts; exit $$status

check-hosts-asan check-hosts-tsan: check-hosts-%: ## The same with a sanitizer
	+@$(MAKE) --no-print-directory check-$* SANITIZED=check-hosts

HOST_PACKAGES = libcurl4-openssl-dev \
  $(sort $(foreach host,$(HOST_NAMES),$(call host_field,$(host),3)))
deps-hosts: ## Installs what the hosts and their test need, on Debian and as root
	@dpkg -s $(HOST_PACKAGES) >/dev/null 2>&1 || { apt-get update -q && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
	    $(HOST_PACKAGES); }

# One of them counts the locks that the library takes.
$(BUILD)/tests/bench/bench_hub: LDLIBS += -Wl,--wrap=pthread_mutex_lock
$(BENCHES): $(BUILD)/%: $(BUILD)/obj/%.o $(call objects,$(BENCH_HELPERS) $(HTTPD_SOURCES)) \
  $(HELPERS) $(STATIC_LIB)
	$(call link,$(CMOCKA_LIBS))

bench: $(BENCHES) ## Runs the benchmarks (Linux); PEERS=1: beside other servers; ARGS="single 1000"
	@for bench in $(if $(ARGS),$(BUILD)/tests/bench/bench_fanout,$(filter-out %fanout,$(BENCHES)) \
	  $(BUILD)/tests/bench/bench_fanout); do \
	  PEERS=$(PEERS) $$bench $(ARGS) || exit 1; export BENCH_GOES_ON=1; done

# Counted instructions do not depend on the machine, but on the flags, so these are not the user's.
$(BUILD)/tests/bench/count/count: $(BUILD)/obj/tests/bench/count/count.o $(HELPERS) $(STATIC_LIB)
	$(call link,$(CMOCKA_LIBS))
COUNT = $(MAKE) --no-print-directory BUILD=$(BUILD)/count CC=gcc CPPFLAGS= CFLAGS="-O2 -g" \
  LDFLAGS= $(BUILD)/count/tests/bench/count/count && \
  CC=gcc sh tests/bench/count/count.sh $(1) $(BUILD)/count/tests/bench/count/count \
  tests/bench/baseline $(BUILD)/count/logs
check-bench: ## Fails if a case takes 5 % more instructions than in tests/bench/baseline (valgrind)
	+@$(call COUNT,check)
bench-baseline: ## Writes tests/bench/baseline anew
	+@$(call COUNT,write)

$(FUZZERS): $(BUILD)/%: $(BUILD)/obj/%.o $(call objects,$(FUZZ_HELPERS)) $(HELPERS) $(STATIC_LIB)
	$(call link,-fsanitize=fuzzer $(CMOCKA_LIBS))
fuzzers: $(FUZZERS)

# What a run finds goes to the build directory; the corpora in the tree are read only.
FUZZ := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
fuzz: ## Runs each fuzz target for SECONDS=60 (clang)
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang CFLAGS="-O1 -g $(FUZZ)" \
	  LDFLAGS="$(LDFLAGS)" fuzzers
	@SSE_BUILD="$(BUILD)/fuzz" sh tests/fuzz.sh $(SECONDS) \
	  $(patsubst $(BUILD)/%,$(BUILD)/fuzz/%,$(FUZZERS))

# What is broken is a copy, in the build directory.
MUTANTS ?= 100
SEED ?= 1
mutate: ## Breaks the library in MUTANTS=100 places drawn from SEED=1, and counts what tests notice
	@CC="$(CC)" MAKE="$(MAKE)" python3 tests/mutate/mutate.py "$(BUILD)" $(MUTANTS) $(SEED) \
	  $(JOBS) $(ARGS)

promises: ## Breaks each promise of the library on purpose, and sees that its test notices
	@CC="$(CC)" MAKE="$(MAKE)" python3 tests/mutate/promises.py "$(BUILD)" $(ARGS)

# --- Looking after the sources ------------------------------------------------------------------

CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
CPPCHECK ?= cppcheck
TIDY_FLAGS = $(NEEDED) $(SYSTEM) -Ilib -Itests/support -Itests/sim -Iexamples/httpd \
  $(CMOCKA_CFLAGS)

lint: lint-c lint-man ## Checks the sources with clang-tidy and cppcheck, and the manual

# Of the hosts, those whose libraries are there.
TIDY_LEFT = $(patsubst %,examples/hosts/%.c,$(filter-out $(HOSTS_HERE),$(HOST_NAMES))) \
  $(if $(shell $(PKG_CONFIG) --exists libcurl 2>/dev/null && echo there),,\
    $(wildcard tests/hosts/*.c))

# clang-tidy tells how many warnings of system headers it left out; any other line is a finding.
lint-c:
	@status=0; printf '%s\n' $(filter-out $(TIDY_LEFT),$(filter %.c,$(C_FILES))) | \
	  xargs -P $(JOBS) -I{} $(CLANG_TIDY) --quiet --warnings-as-errors='*' {} -- $(TIDY_FLAGS) 2>&1 | \
	  { ! grep -v '^[0-9]* warnings\{0,1\} generated\.$$'; } || status=1; \
	$(CPPCHECK) --quiet --std=c11 --error-exitcode=1 --inline-suppr -j $(JOBS) \
	  --enable=warning,performance,portability --suppress=missingIncludeSystem \
	  --suppress=unknownMacro:tests/* -D__linux__ -D__GNUC__=4 \
	  -Iinclude -Ilib -Iexamples/httpd -Itests/support -Itests/sim \
	  $(filter %.c,$(C_FILES)) || status=1; \
	exit $$status

# mandoc looks for the pages that others refer to among those that are installed. Ours are not, and
# those of the system need not be, so this looks for ours in the tree.
lint-man: $(BUILD)/flags
	@mandoc -T lint -W style $(MAN) </dev/null >$(BUILD)/lint-man 2>$(BUILD)/lint-man.err; \
	! cat $(BUILD)/lint-man $(BUILD)/lint-man.err | \
	  grep -v 'STYLE: referenced manual not found\|outdated mandoc.db'
	@awk 'BEGIN { n = split("$(notdir $(MAN)) $(ALIASES)", pages); \
	    for (i = 1; i <= n; i++) { sub(/=.*/, "", pages[i]); there[pages[i]] } } \
	  $$1 == ".Xr" && $$2 ~ /^sse/ && !($$2 "." $$3 in there) { bad = 1; \
	    print FILENAME ":" FNR ": no such page: " $$2 "(" $$3 ")" } \
	  END { exit bad }' $(MAN) </dev/null

format: ## Lays out the sources
	@$(CLANG_FORMAT) -i $(C_FILES)

check-format: ## Fails if a source is not laid out as `make format` would
	@$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)

=======
>>>>>>> build
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
