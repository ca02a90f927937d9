# SPDX-License-Identifier: MIT
# tests.mk: the tests, with sanitizers and other tools, fuzzing and mutation. Part of the Makefile.

.PHONY: tests deps check sim judge logworld check-asan check-tsan check-clang check-valgrind \
  coverage deps-coverage check-install check-abi abi-baseline deps-abi check-metrics deps-metrics \
  check-vanished check-proxies deps-proxies check-clients fuzzers fuzz mutate promises

HELPER_SOURCES := $(sort $(wildcard tests/support/*.c))
SIM_HELPERS := $(filter-out tests/sim/test_%,$(sort $(wildcard tests/sim/*.c)))
SIM_SOURCES := $(sort $(wildcard tests/sim/test_*.c))
JUDGE_HELPERS := $(filter-out tests/judge/test_%,$(sort $(wildcard tests/judge/*.c)))
JUDGE_SOURCES := $(sort $(wildcard tests/judge/test_*.c))
LOGWORLD_HELPERS := $(filter-out tests/logworld/test_%,$(sort $(wildcard tests/logworld/*.c)))
LOGWORLD_SOURCES := $(sort $(wildcard tests/logworld/test_*.c))
INTERLEAVE_HELPERS := $(filter-out tests/interleave/test_%,$(sort $(wildcard tests/interleave/*.c)))
INTERLEAVE_SOURCES := $(sort $(wildcard tests/interleave/test_*.c))
TEST_SOURCES := $(sort $(wildcard tests/unit/test_*.c)) $(SIM_SOURCES) $(JUDGE_SOURCES) \
  $(LOGWORLD_SOURCES) $(INTERLEAVE_SOURCES) $(sort $(wildcard tests/threads/*.c)) \
  $(sort $(wildcard tests/demo/*.c)) $(sort $(wildcard tests/broadcast/*.c))
# What Apple's linker cannot do: wrap a call.
LEFT_OUT_Darwin := tests/unit/test_os.c tests/interleave/%
LEFT_OUT ?= $(LEFT_OUT_$(OS))
CLIENTS_SOURCES := $(sort $(wildcard tests/clients/*.c)) examples/httpd/request.c
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_HELPERS := $(filter-out tests/fuzz/fuzz_%,$(sort $(wildcard tests/fuzz/*.c)))

TESTS ?= $(call programs,$(filter-out $(LEFT_OUT),$(TEST_SOURCES)))
HELPERS := $(call objects,$(HELPER_SOURCES))
CLIENTS_SERVER := $(BUILD)/tests/clients/server
METRICS := $(BUILD)/tests/metrics/metrics
FUZZERS := $(call programs,$(FUZZ_SOURCES))

tests: $(TESTS) ## Builds the tests

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
$(call programs,$(JUDGE_SOURCES)): $(call objects,$(JUDGE_HELPERS))
$(call programs,$(LOGWORLD_SOURCES)): $(call objects,$(LOGWORLD_HELPERS) \
  tests/judge/wire.c tests/judge/verdict.c)

# One has the system refuse what one that works does not.
WRAPPED := pthread_mutex_init pthread_condattr_init pthread_condattr_setclock pthread_cond_init \
  strlen send recv poll setsockopt getsockopt
$(BUILD)/tests/unit/test_os: LDLIBS += $(WRAPPED:%=-Wl,--wrap=%)

# In these the test decides which thread goes on, at each call of the library by which threads meet.
INTERLEAVED := mutex_init mutex_destroy mutex_lock mutex_trylock mutex_unlock cond_wait \
  cond_timedwait cond_signal cond_broadcast cond_destroy
$(call programs,$(INTERLEAVE_SOURCES)): $(call objects,$(INTERLEAVE_HELPERS))
$(call programs,$(INTERLEAVE_SOURCES)): LDLIBS += -Wl,--wrap=clock_gettime \
  $(INTERLEAVED:%=-Wl,--wrap=pthread_%)

# The program in sse(7), which a test runs on a port of the test's own.
NEWS := $(BUILD)/tests/demo/news
$(BUILD)/gen/news.c: man/sse.7
	@mkdir -p $(@D)
	@echo '#include <stdlib.h>' >$@
	@sed -n -e '/^\.Sh EXAMPLES/,$${/^\.Bd -literal/,/^\.Ed/p;/^\.Ed/q;}' $< | \
	  sed -e '/^\.[BE]d/d' -e 's/\\e/\\/g' -e 's/^int main(void)/int main(int argc, char **argv)/' \
	    -e 's/listen_at(5000)/listen_at((in_port_t)strtol(argv[argc - 1], NULL, 10))/' >>$@
$(NEWS): $(BUILD)/obj/gen/news.o $(STATIC_LIB)
	$(call link)
$(BUILD)/tests/demo/test_minimal: | $(NEWS)

# Only these tests start examples.
check: $(TESTS) $(if $(filter %/demo/ %/broadcast/,$(dir $(TESTS))),examples)
check: ## Runs the tests, or some of them: TESTS=build/tests/unit/test_error
	@SSE_BUILD="$(BUILD)/" SSE_LOGS="$(BUILD)/logs" sh tests/run.sh $(TESTS)

sim: $(BUILD)/tests/sim/test_sim ## Runs SEEDS=10000 random histories, each judged as a whole
	@SSE_HISTORIES=$(SEEDS) $<

# Rules of the judge that the library breaks; a rule goes from here when the library is mended.
JUDGE_SKIP ?=
export JUDGE_SKIP

judge: $(BUILD)/tests/judge/test_judge ## Runs SEEDS=10000 random histories, judged by the manual
	@JUDGE_HISTORIES=$(SEEDS) $<

# The first seed in FIRST=.
logworld: $(BUILD)/tests/logworld/test_logworld ## Runs SEEDS=10000 histories of hubs that read one log
	@LOGWORLD_HISTORIES=$(SEEDS) LOGWORLD_FIRST=$(FIRST) $<

SANITIZED := check
ASAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
check-asan: ## Runs the tests with the address and the undefined behaviour sanitizer
	+@ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:$$ASAN_OPTIONS \
	UBSAN_OPTIONS=print_stacktrace=1:$$UBSAN_OPTIONS \
	SSE_PREEMPTIONS=$${SSE_PREEMPTIONS:-1} SSE_WALKS=$${SSE_WALKS:-1000} \
	$(MAKE) --no-print-directory BUILD=$(BUILD)/asan CPPFLAGS="$(CPPFLAGS) -DSSE_DEBUG" \
	  CFLAGS="-O1 -g $(ASAN)" \
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

# Without fair scheduling one thread that never waits can keep all others from their turn. The child
# of a fork ends with its parent's memory, all of which would count as leaked.
VALGRIND := valgrind --quiet --fair-sched=try --error-exitcode=99 --leak-check=full \
  --show-leak-kinds=all --errors-for-leak-kinds=all
check-valgrind: ## Runs the unit and the thread tests with valgrind, a part of the longest
	+@JUDGE_HISTORIES=$${JUDGE_HISTORIES:-500} \
	LOGWORLD_HISTORIES=$${LOGWORLD_HISTORIES:-500} \
	SSE_HISTORIES=$${SSE_HISTORIES:-500} SSE_TORTURE=$${SSE_TORTURE:-37} \
	SSE_PREEMPTIONS=$${SSE_PREEMPTIONS:-0} SSE_WALKS=$${SSE_WALKS:-100} \
	SSE_WRAPPER="$(VALGRIND)" $(MAKE) --no-print-directory \
	  TESTS="$(filter-out $(BUILD)/tests/demo/% $(BUILD)/tests/broadcast/% %/test_fork,$(TESTS))" \
	  check

# Of lib/ alone, as compiled here. Without optimisation a branch is one that stands in the source.
# What an earlier run counted goes first, and threads count exactly.
COVERAGE := $(BUILD)/coverage
COVERED := gcovr --root . --add-tracefile $(COVERAGE)/coverage.json
coverage: ## Tells what the unit and the thread tests leave out of lib/, and fails if it is much
	@command -v gcovr >/dev/null || { \
	  echo "coverage: no gcovr; make deps-coverage installs it" >&2; exit 1; }
	@mkdir -p $(COVERAGE) && find $(COVERAGE) -name '*.gcda' -exec rm -f {} +
	+@$(MAKE) --no-print-directory BUILD=$(COVERAGE) CC=gcc CPPFLAGS=-DSSE_GCOV LDFLAGS= \
	  CFLAGS="-O0 -g --coverage -fprofile-update=atomic" \
	  TESTS="$(patsubst $(BUILD)/%,$(COVERAGE)/%,$(filter-out $(BUILD)/tests/demo/% $(BUILD)/tests/broadcast/%,$(TESTS)))" check
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

# Of the library as compiled here: the description depends on the compiler, not on the user's flags.
ABI = $(MAKE) --no-print-directory BUILD=$(BUILD)/abi CC=gcc CPPFLAGS= CFLAGS="-O1 -g" LDFLAGS= \
  $(BUILD)/abi/$(SHARED) && CC=gcc sh tests/abi/abi.sh $(1) $(BUILD)/abi/$(SHARED) $(BUILD)/abi/work
check-abi: ## Fails if functions, types or constants are not those that tests/abi describes
	+@$(call ABI,check)
abi-baseline: ## Writes the description of the ABI in tests/abi anew
	+@$(call ABI,write)

deps-abi: ## Installs abidw and abidiff, with apt-get and as root
	@command -v abidiff >/dev/null || { apt-get update -q && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends abigail-tools; }

$(METRICS): $(BUILD)/%: $(BUILD)/obj/%.o $(STATIC_LIB)
	$(call link)

check-metrics: $(METRICS) ## Has promtool check the text for Prometheus
	@SSE_BUILD="$(BUILD)" sh tests/metrics/run.sh $(METRICS)

deps-metrics: ## Fetches promtool, with apt-get
	@sh tests/metrics/deps.sh $(BUILD)

# Programs as they are shipped, but with short times. Hosts that are not built are left out.
VANISHED_TEST := $(BUILD)/tests/vanished/test_vanished
VANISHED := $(BUILD)/tests/vanished/minimal $(BUILD)/tests/vanished/dice-roll
$(BUILD)/tests/vanished/minimal: $(BUILD)/obj/examples/minimal.o
$(BUILD)/tests/vanished/dice-roll: $(call objects,$(HTTPD_SOURCES) \
  $(sort $(wildcard examples/dice-roll/*.c))) $(BUILD)/obj/gen/dice-roll/pages.o
$(VANISHED): $(BUILD)/obj/tests/vanished/short.o $(STATIC_LIB)
	$(call link,$(LIBS_$(@F)))
$(VANISHED): LDLIBS += -Wl,--wrap=sse_hub_new
$(VANISHED_TEST): $(BUILD)/obj/tests/vanished/test_vanished.o $(STATIC_LIB)
	$(call link,$(CMOCKA_LIBS))

ifeq ($(OS),Linux)
check-vanished: $(VANISHED_TEST) $(VANISHED) hosts ## Lets clients vanish without FIN or RST
	@SSE_BUILD="$(BUILD)/" SSE_LOGS="$(BUILD)/logs" sh tests/run.sh $(VANISHED_TEST); status=$$?; \
	grep '^|\|left out' $(BUILD)/logs/test_vanished.log; exit $$status
else
check-vanished:
	@echo "check-vanished: SKIPPED: only Linux can put a filter on a socket" >&2
endif

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

$(FUZZERS): $(BUILD)/%: $(BUILD)/obj/%.o $(call objects,$(FUZZ_HELPERS)) $(HELPERS) $(STATIC_LIB)
	$(call link,-fsanitize=fuzzer $(CMOCKA_LIBS))
fuzzers: $(FUZZERS) ## Builds the fuzz targets (with the flags that fuzz gives)

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

-include $(call depends,$(HELPER_SOURCES) $(SIM_HELPERS) $(JUDGE_HELPERS) \
  $(LOGWORLD_HELPERS) $(INTERLEAVE_HELPERS) $(TEST_SOURCES) \
  $(FUZZ_SOURCES) $(FUZZ_HELPERS) $(CLIENTS_SOURCES) $(wildcard tests/metrics/*.c) \
  $(wildcard tests/vanished/*.c))
