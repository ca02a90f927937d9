# SPDX-License-Identifier: MIT
# recipes.mk: the programs of sse-recipes(7) and sse-log(7), and their tests.

RECIPE_SOURCES := $(filter-out tests/recipes/test_%,$(sort $(wildcard tests/recipes/*.c)))
RECIPE_HELPERS := $(call objects,tests/recipes/host.c)
FEEDER := $(BUILD)/tests/recipes/feeder
RECIPES := $(filter-out $(FEEDER),\
  $(call programs,$(filter-out tests/recipes/host.c,$(RECIPE_SOURCES))))
RECIPE_TEST := $(BUILD)/tests/recipes/test_recipes
FEEDER_TEST := $(BUILD)/tests/recipes/test_feeder

# The program of sse-log(7) reads a table of SQLite, and is left out where there is none.
sqlite_flags = $(shell $(PKG_CONFIG) $(1) sqlite3 2>/dev/null)
SQLITE_HERE = $(shell $(PKG_CONFIG) --exists sqlite3 2>/dev/null && echo there)

$(RECIPES): $(BUILD)/%: $(BUILD)/obj/%.o $(RECIPE_HELPERS) $(STATIC_LIB)
	$(call link)
$(RECIPE_TEST): $(BUILD)/%: $(BUILD)/obj/%.o
	$(call link,$(CMOCKA_LIBS))
$(FEEDER): $(BUILD)/%: $(BUILD)/obj/%.o $(RECIPE_HELPERS) $(STATIC_LIB)
	$(call link,$(call sqlite_flags,--libs))
$(FEEDER_TEST): $(BUILD)/%: $(BUILD)/obj/%.o
	$(call link,$(CMOCKA_LIBS) $(call sqlite_flags,--libs))

.PHONY: check-recipes check-feeder
check-recipes: $(RECIPES) $(RECIPE_TEST) ## Tests the programs and commands of sse-recipes(7), sse-log(7)
	@SSE_BUILD="$(BUILD)/" SSE_LOGS="$(BUILD)/logs" sh tests/run.sh $(RECIPE_TEST)
	+@if [ -n "$(SQLITE_HERE)" ]; then $(MAKE) -s --no-print-directory check-feeder; \
	  else echo "left out: tests/recipes/feeder.c; Debian has SQLite in libsqlite3-dev"; fi
	@python3 tests/recipes/check.py "$(BUILD)"
	@if command -v node >/dev/null; then node tests/recipes/test_pages.js; \
	  else echo "left out: tests/recipes/test_pages.js; there is no node"; fi

check-feeder: $(FEEDER) $(FEEDER_TEST)
	@SSE_BUILD="$(BUILD)/" SSE_LOGS="$(BUILD)/logs" sh tests/run.sh $(FEEDER_TEST)

-include $(call depends,$(wildcard tests/recipes/*.c))
