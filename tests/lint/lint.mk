# SPDX-License-Identifier: MIT
# lint.mk: checks of the sources that run nothing. Part of the Makefile.

.PHONY: lint lint-layout one-file lint-defaults lint-prose lint-c lint-man format check-format \
  compile_commands.json

C_FILES := $(sort $(LIB_SOURCES) $(wildcard lib/*/*.h) $(HEADERS) $(wildcard examples/*.c) \
  $(wildcard examples/*/*.[ch]) $(wildcard tests/*/*.[ch] tests/*/*.cc tests/bench/count/*.c))

CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
CPPCHECK ?= cppcheck
TIDY_FLAGS = $(NEEDED) $(SYSTEM) -Ilib -Itests/support -Itests/sim -Iexamples/httpd \
  -Iexamples/engines -Itests/demo $(ENGINE_CFLAGS) $(BROADCAST_CFLAGS) $(CMOCKA_CFLAGS) \
  $(foreach host,$(HOSTS_HERE),$(patsubst -I%,-isystem %,$(call host_flags,$(host),--cflags)))

lint: lint-layout one-file lint-defaults lint-prose lint-c lint-man ## Checks the sources and the manual

NM ?= nm
lint-layout: $(call objects,$(LIB_SOURCES)) ## Checks the order of the wings, and looks for circles
	@python3 tests/lint/test_layout.py
	@python3 tests/lint/layout.py --nm "$(NM)" --objects $(BUILD)/obj/lib

# A file that asks the system's headers for more than POSIX has to come first.
$(BUILD)/libsse.c: $(LIB_SOURCES) $(BUILD)/sources
	@{ grep -l '^#define _' $(LIB_SOURCES); \
	  printf '%s\n' $(foreach wing,$(WINGS),$(filter lib/$(wing)/%,$(LIB_SOURCES))); } | \
	  awk '!seen[$$0]++ { sub(/^lib\//, ""); print "#include \"" $$0 "\"" }' >$@

$(BUILD)/obj/libsse.o: $(BUILD)/libsse.c $(BUILD)/flags
	$(call compile,$(NEEDED_LIB) -Werror)
one-file: $(BUILD)/obj/libsse.o ## Compiles the library as one file, build/libsse.c

lint-defaults: ## Compares the defaults in the code with those in header and manual
	@python3 tests/lint/test_defaults.py
	@python3 tests/lint/defaults.py

lint-prose: ## Counts phrases that are hard to read in README, headers, manual and library
	@sh tests/lint/prose.sh README.md include man lib

# Of the hosts and engines, those whose libraries are there.
TIDY_LEFT = $(patsubst %,examples/hosts/%.c,$(filter-out $(HOSTS_HERE),$(HOST_NAMES))) \
  $(if $(shell $(PKG_CONFIG) --exists libcurl 2>/dev/null && echo there),,\
    $(wildcard tests/hosts/*.c)) \
  $(call engine_files,examples/engines/,$(ENGINES_LEFT)) \
  $(foreach engine,$(ENGINES_LEFT),$(TESTS_$(engine):%=tests/engines/%.c))

# clang-tidy tells how many warnings of system headers it left out; any other line is a finding.
lint-c: ## Checks the C sources with clang-tidy and cppcheck
	@status=0; printf '%s\n' $(filter-out $(TIDY_LEFT),$(filter %.c,$(C_FILES))) | \
	  xargs -P $(JOBS) -I{} $(CLANG_TIDY) --quiet --warnings-as-errors='*' {} -- $(TIDY_FLAGS) 2>&1 | \
	  { ! grep -v '^[0-9]* warnings\{0,1\} generated\.$$'; } || status=1; \
	$(CPPCHECK) --quiet --std=c11 --error-exitcode=1 --inline-suppr -j $(JOBS) \
	  --enable=warning,performance,portability --suppress=missingIncludeSystem \
	  --suppress=unknownMacro:tests/* -D__linux__ -D__GNUC__=4 \
	  -Iinclude -Ilib -Iexamples/httpd -Iexamples/engines -Itests/support -Itests/sim \
	  $(filter %.c,$(C_FILES)) || status=1; \
	exit $$status

# mandoc looks for the pages that others refer to among those that are installed. Ours are not, and
# those of the system need not be, so this looks for ours in the tree.
lint-man: $(BUILD)/flags ## Checks the manual with mandoc
	@mandoc -T lint -W style $(MAN) man/broadcast.1 </dev/null >$(BUILD)/lint-man 2>$(BUILD)/lint-man.err; \
	! cat $(BUILD)/lint-man $(BUILD)/lint-man.err | \
	  grep -v 'STYLE: referenced manual not found\|outdated mandoc.db'
	@awk 'BEGIN { n = split("$(notdir $(MAN)) $(ALIASES)", pages); \
	    for (i = 1; i <= n; i++) { sub(/=.*/, "", pages[i]); there[pages[i]] } } \
	  $$1 == ".Xr" && $$2 ~ /^sse/ && !($$2 "." $$3 in there) { bad = 1; \
	    print FILENAME ":" FNR ": no such page: " $$2 "(" $$3 ")" } \
	  END { exit bad }' $(MAN) man/broadcast.1 </dev/null

format: ## Lays out the sources
	@$(CLANG_FORMAT) -i $(C_FILES)

check-format: ## Fails if a source is not laid out as `make format` would
	@$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)

# What make would run to compile everything, as a compilation database; editors look for it there.
compile_commands.json: ## Writes build/compile_commands.json for clangd and other tools
	@mkdir -p $(BUILD)
	+@$(MAKE) --no-print-directory -n -B all tests hosts fuzzers $(BENCHES) $(CLIENTS_SERVER) \
	  $(METRICS) $(BUILD)/tests/bench/count/count $(HOSTS_HERE:%=$(BUILD)/tests/hosts/test_%) | \
	  awk -v directory="$(CURDIR)" 'function quoted(text) { gsub(/[\\"]/, "\\\\&", text); \
	      return "\"" text "\"" } \
	    / -c -o [^ ]* [^ ]*\.c$$/ && !seen[$$NF]++ { \
	      printf "%s{\"directory\": %s,\n \"file\": %s,\n \"command\": %s}", \
	        (count++ ? ",\n" : "[\n"), quoted(directory), quoted($$NF), quoted($$0) } \
	    END { print "\n]"; exit !count }' >$(BUILD)/compile_commands.json
	@echo "$(BUILD)/compile_commands.json"

-include $(BUILD)/obj/libsse.d
