# SPDX-License-Identifier: MIT
# bench.mk: benchmarks, and instructions counted against a baseline. Part of the Makefile.

.PHONY: bench check-bench bench-baseline check-curves

BENCH_SOURCES := $(sort $(wildcard tests/bench/bench_*.c))
BENCH_HELPERS := $(filter-out tests/bench/bench_%,$(sort $(wildcard tests/bench/*.c)))
BENCHES := $(call programs,$(BENCH_SOURCES))

# One of them counts the locks that the library takes, and measures how long it holds them.
$(BUILD)/tests/bench/bench_hub: LDLIBS += -Wl,--wrap=pthread_mutex_lock \
  -Wl,--wrap=pthread_mutex_unlock
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

# The library counts its basic blocks, and the program, which counts them, does not.
$(BUILD)/obj/tests/bench/curves/curves.o: override CFLAGS += -fno-sanitize-coverage=trace-pc
$(BUILD)/tests/bench/curves/curves: LDLIBS += -Wl,--wrap=pthread_mutex_lock \
  -Wl,--wrap=pthread_mutex_unlock
$(BUILD)/tests/bench/curves/curves: $(BUILD)/obj/tests/bench/curves/curves.o $(STATIC_LIB)
	$(call link)
check-curves: ## Fails if a cost grows faster than its cause, or the lock is held for long
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/curves CC=gcc CPPFLAGS= \
	  CFLAGS="-O1 -g -fsanitize-coverage=trace-pc" LDFLAGS= $(BUILD)/curves/tests/bench/curves/curves
	@$(BUILD)/curves/tests/bench/curves/curves $(ARGS)

-include $(call depends,$(BENCH_SOURCES) $(BENCH_HELPERS) tests/bench/count/count.c tests/bench/curves/curves.c)
