# SPDX-License-Identifier: MIT
# engines.mk: the engines of examples/engines, and their tests. Part of the Makefile.

.PHONY: check-engines check-engines-asan check-engines-tsan bench-engines deps-engines

# Engines that need a library: the module of pkg-config, the macro for engine.c, the tests, the
# programs of the tests, and what Debian calls all that. The sources are examples/engines/NAME*.c.
OPTIONAL_ENGINES := sqlite redis nats amqp

MODULE_sqlite := sqlite3
MACRO_sqlite := -DENGINE_SQLITE
TESTS_sqlite := test_sqlite test_crash test_store
PROGRAMS_sqlite = $(BUILD)/tests/engines/publisher $(BUILD)/examples/dice-roll
DEBIAN_sqlite := libsqlite3-dev

MODULE_redis := hiredis
MACRO_redis := -DENGINE_REDIS
TESTS_redis := test_redis test_redis_history test_redis_failures test_redis_random
PROGRAMS_redis =
DEBIAN_redis := libhiredis-dev redis-server

MODULE_nats := libnats
MACRO_nats := -DENGINE_NATS
TESTS_nats := test_nats test_nats_history test_nats_failures
PROGRAMS_nats =
DEBIAN_nats := libnats-dev nats-server

MODULE_amqp := librabbitmq
MACRO_amqp := -DENGINE_AMQP
TESTS_amqp := test_amqp test_amqp_failures
PROGRAMS_amqp =
DEBIAN_amqp := librabbitmq-dev rabbitmq-server

# An engine is left out where pkg-config does not find its module. It is asked when an engine is
# built, not before, and $(BUILD)/engines keeps the answer: once the library is there, what depends
# on it is built anew. Warnings about the library's headers are not ours.
engine_here = $(shell $(PKG_CONFIG) --exists $(MODULE_$(1)) 2>/dev/null && echo $(1))
engine_files = $(foreach engine,$(2),$(wildcard $(1)$(engine)*.c))
engine_flags = $(foreach engine,$(ENGINES_HERE),$(shell $(PKG_CONFIG) $(1) $(MODULE_$(engine))))
ENGINES_HERE = $(eval ENGINES_HERE := $$(foreach engine,$$(OPTIONAL_ENGINES),\
  $$(call engine_here,$$(engine))))$(ENGINES_HERE)
ENGINES_LEFT = $(filter-out $(ENGINES_HERE),$(OPTIONAL_ENGINES))
ENGINE_CFLAGS = $(eval ENGINE_CFLAGS := $$(foreach engine,$$(ENGINES_HERE),\
  $$(MACRO_$$(engine))) $$(patsubst -I%,-isystem %,$$(call engine_flags,--cflags)))$(ENGINE_CFLAGS)
ENGINE_LIBS = $(eval ENGINE_LIBS := $$(call engine_flags,--libs))$(ENGINE_LIBS)
ENGINE_SOURCES := $(sort $(wildcard examples/engines/*.c))
ENGINE_OBJECTS = $(call objects,\
  $(filter-out $(call engine_files,examples/engines/,$(ENGINES_LEFT)),$(ENGINE_SOURCES)))

$(BUILD)/engines: FORCE
	@mkdir -p $(@D)
	@echo '$(ENGINE_CFLAGS) $(ENGINE_LIBS)' | cmp -s - $@ || \
	  echo '$(ENGINE_CFLAGS) $(ENGINE_LIBS)' >$@

$(BUILD)/obj/examples/engines/%.o: examples/engines/%.c $(BUILD)/flags $(BUILD)/engines
	$(call compile,$(NEEDED_EXAMPLE) $(ENGINE_CFLAGS))

# The demos that have an engine.
LIBS_dice-roll = $(ENGINE_LIBS)
LIBS_broadcast = $(ENGINE_LIBS)
$(BUILD)/examples/dice-roll $(BUILD)/examples/broadcast $(BUILD)/tests/vanished/dice-roll: $$(ENGINE_OBJECTS)

# --- Tests --------------------------------------------------------------------------------------

ENGINE_TESTS = $(addprefix $(BUILD)/tests/engines/,\
  test_engines $(foreach engine,$(ENGINES_HERE),$(TESTS_$(engine))))
$(BUILD)/obj/tests/engines/%.o: tests/engines/%.c $(BUILD)/flags $(BUILD)/engines
	$(call compile,$(NEEDED_TEST) -Itests/demo $(CMOCKA_CFLAGS) $(ENGINE_CFLAGS))
$(BUILD)/tests/engines/%: $(BUILD)/obj/tests/engines/%.o $(BUILD)/obj/tests/engines/common.o \
  $$(ENGINE_OBJECTS) $(STATIC_LIB)
	$(call link,$(if $(findstring test_,$@),$(CMOCKA_LIBS)) $(ENGINE_LIBS))

# Most of their time the tests wait, so several can run at once: ENGINE_JOBS=3.
ENGINE_JOBS ?= 1
check-engines: ## Tests the engines, each with its own servers and crashes
	@$(foreach engine,$(ENGINES_LEFT),\
	  echo "  left out: $(engine); Debian has it in $(DEBIAN_$(engine))";) :
	+@$(MAKE) -s --no-print-directory $(ENGINE_TESTS) \
	  $(foreach engine,$(ENGINES_HERE),$(PROGRAMS_$(engine)))
	@SSE_BUILD="$(BUILD)/" SSE_LOGS="$(BUILD)/logs" SSE_JOBS=$(ENGINE_JOBS) \
	  sh tests/run.sh $(ENGINE_TESTS)

check-engines-asan check-engines-tsan: check-engines-%: ## The same with a sanitizer
	+@$(MAKE) --no-print-directory check-$* SANITIZED=check-engines

bench-engines: ## Measures appending with 1 to 64 publishers, and feeding a hub
	+@$(MAKE) -s --no-print-directory $(BUILD)/tests/engines/bench
	@$(BUILD)/tests/engines/bench $(ARGS)

ENGINE_PACKAGES = $(foreach engine,$(OPTIONAL_ENGINES),$(DEBIAN_$(engine)))
# Servers come as services: policy-rc.d keeps apt-get from starting them.
deps-engines: ## Installs what the engines need, with apt-get and as root; starts no service
	@dpkg -s $(ENGINE_PACKAGES) >/dev/null 2>&1 || { policy=/usr/sbin/policy-rc.d; \
	  [ -e $$policy ] || { trap "rm -f $$policy" EXIT; \
	    printf '#!/bin/sh\nexit 101\n' >$$policy && chmod 755 $$policy; } && \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -q -y --no-install-recommends $(ENGINE_PACKAGES); }

-include $(call depends,$(ENGINE_SOURCES) $(wildcard tests/engines/*.c))
