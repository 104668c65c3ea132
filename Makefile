# holdfast. `make` builds ./holdfast; `make help` lists the rest.

CC ?= gcc
BUILD ?= build
PROGRAM ?= holdfast
VERSION := $(shell sed -n 's/^\#define HOLDFAST_VERSION "\(.*\)"/\1/p' base/version.h)

PACKAGES = libevent libevent_pthreads openssl lmdb expat jansson inih libisal
# Needed to build, not to start: replicator/curl_late.c loads it.
HEADERS_ONLY = libcurl
WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
    -Wmissing-prototypes -Wvla -Werror
HARDENING = -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2 \
    -fstack-clash-protection
OPTIMISE = -O2 -g
SANITIZE =
CPPFLAGS_ALL = -D_GNU_SOURCE -I. $(shell pkg-config --cflags $(PACKAGES) $(HEADERS_ONLY)) $(CPPFLAGS)
CFLAGS_ALL = -std=c17 -pthread $(OPTIMISE) $(WARNINGS) $(HARDENING) $(SANITIZE) $(CFLAGS)
LDFLAGS_ALL = -pie -pthread -Wl,-z,relro,-z,now -Wl,--as-needed $(SANITIZE) $(LDFLAGS)
LDLIBS_ALL = $(shell pkg-config --libs $(PACKAGES)) $(LDLIBS)

# Lowest last: each room may use those to its right.
ROOMS = cli console replicator s3api store base
LIBS = $(ROOMS:%=$(BUILD)/%.a)
SOURCES = $(foreach r,$(ROOMS),$(wildcard $(r)/*.c))
UNIT = $(patsubst tests/unit/test_%.c,$(BUILD)/tests/test_%,$(wildcard tests/unit/test_*.c))
FUZZ = $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/fuzz/fuzz_%,$(wildcard tests/fuzz/fuzz_*.c))
PRELOADS = $(BUILD)/tests/record.so $(BUILD)/tests/inject.so $(BUILD)/tests/later.so

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all run check unit unit-programs check-layers check-format format lint asan tsan \
    fuzz fuzz-replay coverage bench bench-replication nightly preloads install clean help

# The program, once cli/ has a main(); the rooms until then.
all: $(if $(wildcard cli/*.c),$(PROGRAM),$(LIBS))

$(PROGRAM): $(LIBS)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ -Wl,--start-group $(LIBS) -Wl,--end-group $(LDLIBS_ALL)

define room_library
$(BUILD)/$(1).a: $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)/*.c))
	@mkdir -p $$(@D)
	@rm -f $$@
	@$(AR) rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_library,$(r))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

-include $(SOURCES:%.c=$(BUILD)/%.d)
-include $(wildcard $(BUILD)/tests/unit/*.d $(BUILD)/tests/fuzz/*.d $(BUILD)/tests/bench/*.d $(BUILD)/tests/replicator/*.d)

## run            start the server on ./data with a key pair made for it
run: $(PROGRAM)
	./$(PROGRAM) serve --data ./data

## check          everything that ./tests/run does, tools being there
check:
	./tests/run

## unit           the unit tests alone
unit: $(UNIT)
	@for t in $(UNIT); do $$t || exit 1; done

unit-programs: $(UNIT)

$(BUILD)/tests/test_%: $(BUILD)/tests/unit/test_%.o $(LIBS)
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(LIBS) -Wl,--end-group $(LDLIBS_ALL) -lcmocka

# Measurements of the store alone, run by hand.
$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(LIBS)
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(filter-out $(BUILD)/cli.a,$(LIBS)) -Wl,--end-group $(LDLIBS_ALL)

# Drives a destination's protocol by commands, for tests/replicator.
$(BUILD)/tests/dest_tool: $(BUILD)/tests/replicator/dest_tool.o $(LIBS)
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(filter-out $(BUILD)/cli.a,$(LIBS)) -Wl,--end-group $(LDLIBS_ALL)

## check-layers   who may include whom
check-layers:
	@tests/check-layers

## format         rewrite the sources as .clang-format says; check-format only looks
format:
	@clang-format -i $(shell git ls-files '*.c' '*.h')
check-format:
	@clang-format --dry-run -Werror $(shell git ls-files '*.c' '*.h')

## asan           ./holdfast-asan and unit tests with address and undefined-behaviour sanitizers
asan:
	$(MAKE) CC=clang BUILD=build-asan PROGRAM=holdfast-asan OPTIMISE="-O1 -g -fno-omit-frame-pointer" \
	    HARDENING=-fPIE SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined" all $(ASAN_TARGETS)

## tsan           ./holdfast-tsan and unit tests with the thread sanitizer
tsan:
	$(MAKE) CC=clang BUILD=build-tsan PROGRAM=holdfast-tsan OPTIMISE="-O1 -g -fno-omit-frame-pointer" \
	    HARDENING=-fPIE SANITIZE="-fsanitize=thread" all $(TSAN_TARGETS)

## fuzz           the fuzz targets (libFuzzer); fuzz-replay runs their corpus once
fuzz:
	$(MAKE) CC=clang BUILD=build-fuzz PROGRAM=build-fuzz/holdfast OPTIMISE="-O1 -g" HARDENING=-fPIE \
	    SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined" fuzz-targets
fuzz-targets: $(FUZZ)
$(BUILD)/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $< -Wl,--start-group $(filter-out $(BUILD)/cli.a,$(LIBS)) -Wl,--end-group $(LDLIBS_ALL)
fuzz-replay: fuzz
	@for t in tests/fuzz/fuzz_*.c; do n=$$(basename $$t .c); \
	    build-fuzz/fuzz/$$n -runs=0 tests/fuzz/corpus/$${n#fuzz_} >build-fuzz/$$n.log 2>&1 || \
	    { cat build-fuzz/$$n.log; exit 1; }; echo "$$n: $$(tail -1 build-fuzz/$$n.log)"; done

## coverage       unit tests with gcov counts in build-coverage
coverage:
	$(MAKE) BUILD=build-coverage PROGRAM=build-coverage/holdfast OPTIMISE="-O0 -g --coverage" LDFLAGS=--coverage unit

## bench          measure against peers and limits of this machine
bench: $(PROGRAM)
	tests/bench/run

## bench-replication  measure the copying to another holdfast beside s5cmd and rclone
bench-replication: $(PROGRAM)
	build/venv/bin/python3 tests/bench/replication.py

## nightly        the long runs: crash states, fuzzing, models, big objects
nightly: $(PROGRAM) preloads
	tests/nightly

preloads: $(PRELOADS)
$(BUILD)/tests/record.so: tests/crash/record.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=c17 -O2 -g -Wall -Wextra -shared -fPIC -o $@ $< -ldl -pthread
$(BUILD)/tests/inject.so: tests/fault/inject.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=c17 -O2 -g -Wall -Wextra -shared -fPIC -o $@ $< -ldl -pthread
$(BUILD)/tests/later.so: tests/replicator/later.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=c17 -O2 -g -Wall -Wextra -shared -fPIC -o $@ $< -ldl -pthread

## install        program, man page and systemd unit below $(DESTDIR)$(PREFIX)
PREFIX ?= /usr/local
install: $(PROGRAM)
	install -D -s -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/holdfast
	./$(PROGRAM) help --man >$(BUILD)/holdfast.1
	install -D -m 644 $(BUILD)/holdfast.1 $(DESTDIR)$(PREFIX)/share/man/man1/holdfast.1
	sed 's|/usr/local/bin|$(PREFIX)/bin|' deploy/holdfast.service >$(BUILD)/holdfast.service
	install -D -m 644 $(BUILD)/holdfast.service $(DESTDIR)$(PREFIX)/lib/systemd/system/holdfast.service

clean:
	rm -rf build build-asan build-tsan build-fuzz build-coverage holdfast holdfast-asan holdfast-tsan

help:
	@sed -n 's/^## //p' Makefile
