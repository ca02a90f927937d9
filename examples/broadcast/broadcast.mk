# SPDX-License-Identifier: MIT
# broadcast.mk: the optional parts of the broadcast server. Part of the Makefile.

.PHONY: broadcast deps-broadcast

# Parts that need a library, as in engines.mk. JSON Web Tokens need both: libcrypto checks the keys.
# Version 3 of libjwt has another interface.
BROADCAST_HERE = $(eval BROADCAST_HERE := $$(shell \
  if $$(PKG_CONFIG) --exists libcrypto 2>/dev/null; then echo libcrypto; \
    $$(PKG_CONFIG) --exists 'libjwt < 3' 2>/dev/null && echo libjwt; fi))$(BROADCAST_HERE)
MACRO_libcrypto := -DBROADCAST_CRYPTO
MACRO_libjwt := -DBROADCAST_JWT
broadcast_flags = $(if $(BROADCAST_HERE),$(shell $(PKG_CONFIG) $(1) $(BROADCAST_HERE)))
BROADCAST_CFLAGS = $(foreach part,$(BROADCAST_HERE),$(MACRO_$(part))) \
  $(patsubst -I%,-isystem %,$(call broadcast_flags,--cflags))
BROADCAST_LIBS = $(call broadcast_flags,--libs)

$(BUILD)/broadcast-parts: FORCE
	@mkdir -p $(@D)
	@echo '$(BROADCAST_CFLAGS) $(BROADCAST_LIBS)' | cmp -s - $@ || \
	  echo '$(BROADCAST_CFLAGS) $(BROADCAST_LIBS)' >$@

$(BUILD)/obj/examples/broadcast/%.o: examples/broadcast/%.c $(BUILD)/flags $(BUILD)/broadcast-parts
	$(call compile,$(NEEDED_EXAMPLE) $(BROADCAST_CFLAGS))

LIBS_broadcast += $(BROADCAST_LIBS) -lm
broadcast: $(BUILD)/examples/broadcast ## Builds the broadcast server with the libraries that are here

BROADCAST_PACKAGES := libjwt-dev libssl-dev
deps-broadcast: ## Installs what the broadcast server can use, with apt-get and as root
	@dpkg -s $(BROADCAST_PACKAGES) >/dev/null 2>&1 || { apt-get update -q && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
	    $(BROADCAST_PACKAGES); }

# The tests that make tokens and signatures use libcrypto for that.
$(BUILD)/obj/tests/broadcast/%.o: tests/broadcast/%.c $(BUILD)/flags $(BUILD)/broadcast-parts \
  | $(filter deps,$(MAKECMDGOALS))
	$(call compile,$(NEEDED_TEST) $(CMOCKA_CFLAGS) $(BROADCAST_CFLAGS))
$(BUILD)/tests/broadcast/test_notify: \
  $(BUILD)/obj/examples/broadcast/notify.o $(BUILD)/obj/examples/httpd/pace.o
$(BUILD)/tests/broadcast/%: LDLIBS += $(BROADCAST_LIBS)
$(BUILD)/obj/tests/fuzz/fuzz_token.o: tests/fuzz/fuzz_token.c $(BUILD)/flags $(BUILD)/broadcast-parts
	$(call compile,$(NEEDED_TEST) $(CMOCKA_CFLAGS) $(BROADCAST_CFLAGS))
$(BUILD)/tests/fuzz/fuzz_token: LDLIBS += $(BROADCAST_LIBS)
