# SPDX-License-Identifier: MIT
# chaos.mk: the broadcast server while all that can break does. Part of the Makefile.

.PHONY: check-chaos

CHAOS := $(BUILD)/tests/chaos/chaos
CHAOS_TEST := $(BUILD)/tests/chaos/test_judge
CHAOS_SOURCES := $(filter-out tests/chaos/test_%,$(sort $(wildcard tests/chaos/*.c)))

$(BUILD)/obj/tests/chaos/%.o: tests/chaos/%.c $(BUILD)/flags
	$(call compile,$(NEEDED_TEST) -Itests/demo $(CMOCKA_CFLAGS))
$(CHAOS): $(call objects,$(CHAOS_SOURCES)) $(STATIC_LIB)
	$(call link)
$(CHAOS_TEST): $(BUILD)/obj/tests/chaos/test_judge.o $(STATIC_LIB)
	$(call link,$(CMOCKA_LIBS))

# tests.mk has a default for SEED, which counts for mutants only: here it is the time.
ENGINE ?= redis
CHAOS_SEED = $(if $(filter file,$(origin SEED)),,--seed $(SEED))
check-chaos: $(CHAOS) $(CHAOS_TEST) $(BUILD)/examples/broadcast ## Breaks nodes and logs for SECONDS=60: ENGINE=redis or sqlite, SEED=
	@$(BUILD)/examples/broadcast --version | grep -q ' $(ENGINE)' || { \
	  echo "check-chaos: there is no engine $(ENGINE); make deps-engines installs its library" >&2; \
	  exit 1; }
	@SSE_BUILD="$(BUILD)/" SSE_LOGS="$(BUILD)/logs" sh tests/run.sh $(CHAOS_TEST)
	@SSE_BUILD="$(BUILD)" $(CHAOS) --engine $(ENGINE) --seconds $(SECONDS) $(CHAOS_SEED) $(ARGS)

-include $(call depends,$(wildcard tests/chaos/*.c))
