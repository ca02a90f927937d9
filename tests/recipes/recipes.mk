# SPDX-License-Identifier: MIT
# recipes.mk: the programs of sse-recipes(7), and their test.

RECIPE_SOURCES := $(filter-out tests/recipes/test_%,$(sort $(wildcard tests/recipes/*.c)))
RECIPE_HELPERS := $(call objects,tests/recipes/host.c)
RECIPE_TEST := $(BUILD)/tests/recipes/test_recipes
RECIPES := $(call programs,$(filter-out tests/recipes/host.c,$(RECIPE_SOURCES)))

$(RECIPES): $(BUILD)/%: $(BUILD)/obj/%.o $(RECIPE_HELPERS) $(STATIC_LIB)
	$(call link)
$(RECIPE_TEST): $(BUILD)/%: $(BUILD)/obj/%.o
	$(call link,$(CMOCKA_LIBS))

.PHONY: check-recipes
check-recipes: $(RECIPES) $(RECIPE_TEST) ## Tests the programs and commands of sse-recipes(7)
	@SSE_BUILD="$(BUILD)/" SSE_LOGS="$(BUILD)/logs" sh tests/run.sh $(RECIPE_TEST)
	@python3 tests/recipes/check.py "$(BUILD)"
	@if command -v node >/dev/null; then node tests/recipes/test_pages.js; \
	  else echo "left out: tests/recipes/test_pages.js; there is no node"; fi

-include $(call depends,$(wildcard tests/recipes/*.c))
