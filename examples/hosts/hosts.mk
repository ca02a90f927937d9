# SPDX-License-Identifier: MIT
# hosts.mk: the examples for real HTTP servers, and their tests. Part of the Makefile.

.PHONY: hosts check-hosts check-hosts-asan check-hosts-tsan deps-hosts

# One word a host: its name, what pkg-config calls its libraries (-l: there is no .pc), Debian's
# packages of them, and sources that it shares with others; - where there is nothing.
HOSTS := poll:-:-:- thread:-:-:- libmicrohttpd:libmicrohttpd:libmicrohttpd-dev:- \
  evhttp:libevent+libevent_pthreads:libevent-dev:- libuv:libuv:libuv1-dev:- \
  nghttp2:libnghttp2+openssl:libnghttp2-dev+libssl-dev:tls openssl:openssl:libssl-dev:tls \
  civetweb:-lcivetweb:libcivetweb-dev:- fastcgi:fcgi:libfcgi-dev+nginx-light:- \
  libsoup:libsoup-3.0:libsoup-3.0-dev:- libwebsockets:libwebsockets:libwebsockets-dev:-

# The hosts' libraries are asked for when a host is built, not before.
HOST_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(filter $(foreach host,$(HOSTS),\
  examples/hosts/$(firstword $(subst :, ,$(host))).c),$(wildcard examples/hosts/*.c)))
HOST_NAMES := $(notdir $(HOST_PROGRAMS))
host_field = $(filter-out -,$(subst +, ,$(word $(2),$(subst :, ,$(filter $(1):%,$(HOSTS))))))
host_libs = $(filter -l%,$(call host_field,$(1),2))
host_pc = $(filter-out -l%,$(call host_field,$(1),2))
host_flags = $(if $(host_pc),$(shell $(PKG_CONFIG) $(2) $(host_pc)))
host_here = $(shell $(if $(host_pc),$(PKG_CONFIG) --exists $(host_pc) &&) \
  $(if $(host_libs),echo 'int main(void) { return 0; }' | $(CC) -include \
    $(patsubst -l%,%.h,$(host_libs)) -x c - $(host_libs) -o /dev/null 2>/dev/null &&) echo $(1))
HOSTS_HERE = $(foreach host,$(HOST_NAMES),$(call host_here,$(host)))

$(BUILD)/obj/examples/hosts/%.o: examples/hosts/%.c $(BUILD)/flags
	$(call compile,$(NEEDED_EXAMPLE) $(call host_flags,$*,--cflags))

.SECONDEXPANSION:
$(HOST_PROGRAMS): $(BUILD)/examples/hosts/%: $(BUILD)/obj/examples/hosts/%.o $(STATIC_LIB) \
  $$(addprefix $(BUILD)/obj/examples/hosts/,app.o request.o \
    $$(addsuffix .o,$$(call host_field,$$*,4)))
	$(call link,$(call host_flags,$*,--libs) $(call host_libs,$*))

hosts: ## Builds the examples for real HTTP servers, those whose libraries are there
	@$(foreach host,$(filter-out $(HOSTS_HERE),$(HOST_NAMES)),\
	  echo "  left out: $(host); Debian has it in $(call host_field,$(host),3)";)
	+@$(MAKE) -s --no-print-directory $(HOSTS_HERE:%=$(BUILD)/examples/hosts/%)

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

-include $(call depends,$(wildcard examples/hosts/*.c tests/hosts/*.c))
