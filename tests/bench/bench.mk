# SPDX-License-Identifier: MIT
# bench.mk: benchmarks, and instructions counted against a baseline. Part of the Makefile.

.PHONY: bench check-bench bench-baseline

BENCH_SOURCES := $(sort $(wildcard tests/bench/bench_*.c))
BENCH_HELPERS := $(filter-out tests/bench/bench_%,$(sort $(wildcard tests/bench/*.c)))
BENCHES := $(call programs,$(BENCH_SOURCES))

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

-include $(call depends,$(BENCH_SOURCES) $(BENCH_HELPERS) tests/bench/count/count.c)
