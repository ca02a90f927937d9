# SPDX-License-Identifier: MIT
# engines.mk: the engines of examples/engines, and their tests. Part of the Makefile.

.PHONY: check-engines check-engines-asan check-engines-tsan bench-engines deps-engines

# An engine that needs a library is left out where pkg-config does not find that. It is asked when
# an engine is built, not before, and $(BUILD)/engines keeps the answer: once the library is there,
# what depends on it is built anew.
SQLITE_HERE = $(shell $(PKG_CONFIG) --exists sqlite3 2>/dev/null && echo here)
SQLITE_CFLAGS = $(if $(SQLITE_HERE),-DENGINE_SQLITE $(shell $(PKG_CONFIG) --cflags sqlite3))
ENGINE_LIBS = $(if $(SQLITE_HERE),$(shell $(PKG_CONFIG) --libs sqlite3))
ENGINE_SOURCES := $(sort $(wildcard examples/engines/*.c))
ENGINE_OBJECTS = $(call objects,\
  $(filter-out $(if $(SQLITE_HERE),,$(wildcard examples/engines/sqlite*.c)),$(ENGINE_SOURCES)))

$(BUILD)/engines: FORCE
	@mkdir -p $(@D)
	@echo '$(SQLITE_CFLAGS) $(ENGINE_LIBS)' | cmp -s - $@ || \
	  echo '$(SQLITE_CFLAGS) $(ENGINE_LIBS)' >$@

$(BUILD)/obj/examples/engines/%.o: examples/engines/%.c $(BUILD)/flags $(BUILD)/engines
	$(call compile,$(NEEDED_EXAMPLE) $(SQLITE_CFLAGS))

# The demos that have an engine.
LIBS_dice-roll = $(ENGINE_LIBS)
$(BUILD)/examples/dice-roll $(BUILD)/tests/vanished/dice-roll: $$(ENGINE_OBJECTS)

# --- Tests --------------------------------------------------------------------------------------

ENGINE_TESTS = $(BUILD)/tests/engines/test_engines \
  $(if $(SQLITE_HERE),$(BUILD)/tests/engines/test_sqlite $(BUILD)/tests/engines/test_crash \
    $(BUILD)/tests/engines/test_store)
$(BUILD)/obj/tests/engines/%.o: tests/engines/%.c $(BUILD)/flags $(BUILD)/engines
	$(call compile,$(NEEDED_TEST) -Itests/demo $(CMOCKA_CFLAGS) $(SQLITE_CFLAGS))
$(BUILD)/tests/engines/%: $(BUILD)/obj/tests/engines/%.o $(BUILD)/obj/tests/engines/common.o \
  $$(ENGINE_OBJECTS) $(STATIC_LIB)
	$(call link,$(if $(findstring test_,$@),$(CMOCKA_LIBS)) $(ENGINE_LIBS))

check-engines: ## Tests the engines, the one of SQLite with crashes
	@$(if $(SQLITE_HERE),,echo "  left out: sqlite; Debian has it in libsqlite3-dev")
	+@$(MAKE) -s --no-print-directory $(ENGINE_TESTS) \
	  $(if $(SQLITE_HERE),$(BUILD)/tests/engines/publisher $(BUILD)/examples/dice-roll)
	@SSE_BUILD="$(BUILD)/" SSE_LOGS="$(BUILD)/logs" sh tests/run.sh $(ENGINE_TESTS)

check-engines-asan check-engines-tsan: check-engines-%: ## The same with a sanitizer
	+@$(MAKE) --no-print-directory check-$* SANITIZED=check-engines

bench-engines: ## Measures appending with 1 and 16 publishers, and feeding a hub
	+@$(MAKE) -s --no-print-directory $(BUILD)/tests/engines/bench
	@$(BUILD)/tests/engines/bench $(ARGS)

deps-engines: ## Installs what the engines need, with apt-get and as root
	@dpkg -s libsqlite3-dev >/dev/null 2>&1 || { apt-get update -q && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
	    libsqlite3-dev; }

-include $(call depends,$(ENGINE_SOURCES) $(wildcard tests/engines/*.c))
