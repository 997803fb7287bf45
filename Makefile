# deer: calibrated early exit for vision-language-action models. `make help` lists the targets.

CC       ?= cc
CFLAGS   ?= -O3 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-missing-field-initializers
ifdef CI
WARNINGS += -Werror
endif
PREFIX   ?= /usr/local

# LEAN=1: deer-run alone, without `episode` and HDF5, for the robot (in its own folder).
LEAN     ?= 0
ifeq ($(LEAN),1)
BUILD    ?= build/lean
else
BUILD    ?= build
endif

# Debian 12 packages: what the programs need, and what only development and drawing need.
PACKAGES := build-essential pkg-config libnlopt-dev libhdf5-dev zlib1g-dev \
            libjansson-dev libpcre2-dev libutf8proc-dev libxxhash-dev libcmocka-dev libmujoco-dev \
            libegl-dev libgl1-mesa-dri libpng-dev libwebp-dev gnuplot-nox

# The report's page is drawn with a library from npm and tested in a browser; Node.js and npm of other
# origin than Debian's do as well.
ifeq ($(shell command -v npm),)
PACKAGES += nodejs npm
endif
ifeq ($(shell command -v chromium),)
PACKAGES += chromium
endif

# The kernels for Arm are tested everywhere.
ifeq ($(shell uname -m),x86_64)
PACKAGES += gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
endif

pc_cflags = $(shell pkg-config --cflags $(1) 2>/dev/null)
pc_libs   = $(shell pkg-config --libs $(1) 2>/dev/null)

RUNTIME_PC  := jansson libpcre2-8 libutf8proc
DATASETS_PC := hdf5 libxxhash zlib
TABLETOP_PC := egl libpng libwebpmux libwebp
CALIB_PC    := nlopt

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -I. -fno-math-errno -fno-trapping-math -ffp-contract=off $(WARNINGS) \
             $(call pc_cflags,$(RUNTIME_PC) $(DATASETS_PC) $(CALIB_PC)) $(CFLAGS) $(EXTRA_CFLAGS)

# A folder's mains are deer_<tool>.c; everything else in it is its library.
mains      = $(wildcard $(1)/deer_*.c)
library    = $(filter-out $(call mains,$(1)),$(wildcard $(1)/*.c))
objects    = $(patsubst %.c,$(BUILD)/%.o,$(1))
RUNTIME   := $(call objects,$(call library,runtime))
DATASETS  := $(call objects,$(call library,datasets))
TABLETOP  := $(call objects,$(call library,datasets/tabletop)) $(BUILD)/datasets/tabletop/scene_xml.o
SIM       := $(call objects,$(wildcard datasets/sim/*.c))
DATA      := $(call objects,$(wildcard datasets/data/*.c))
RUN       := $(call objects,$(wildcard runtime/run/*.c))
MODEL     := $(call objects,$(wildcard runtime/model/*.c))
BUDGETS   := $(call objects,$(call library,budgets)) $(BUILD)/budgets/hardware_texts.o
PAGE      := $(BUILD)/reports/page
REPORTS   := $(call objects,$(call library,reports)) \
             $(addprefix $(PAGE)/,template_html.o style_css.o script_js.o d3_js.o plot_js.o)
CALIB     := $(call objects,$(call library,calib))
CALIB_CMD := $(call objects,$(wildcard calib/commands/*.c))
TOOL      := $(BUILD)/runtime/tool.o
RUNTIME   := $(filter-out $(TOOL),$(RUNTIME))

RUNTIME_LIBS  = $(call pc_libs,$(RUNTIME_PC)) -lm -lpthread
DATASETS_LIBS = $(call pc_libs,$(DATASETS_PC))
TABLETOP_LIBS = -Wl,--no-as-needed $(call pc_libs,$(TABLETOP_PC)) -lGL -lmujoco -Wl,--as-needed
CALIB_LIBS    = $(call pc_libs,$(CALIB_PC))

LIBDEER     := $(BUILD)/libdeer.a
LIBDATASETS := $(BUILD)/libdatasets.a
LIBTABLETOP := $(BUILD)/libtabletop.a
LIBBUDGETS  := $(BUILD)/libbudgets.a
LIBCALIB    := $(BUILD)/libcalib.a
LIBRUN      := $(BUILD)/librun.a
LIBREPORTS  := $(BUILD)/libreports.a

PROGRAMS := $(patsubst deer_%,$(BUILD)/deer-%,$(basename $(notdir $(foreach d,runtime datasets calib reports,$(call mains,$(d))))))
ifeq ($(LEAN),1)
PROGRAMS := $(BUILD)/deer-run
PACKAGES := build-essential pkg-config libjansson-dev libpcre2-dev libutf8proc-dev libxxhash-dev
endif
TESTS    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
HELPERS  := $(BUILD)/tests/command_helper $(BUILD)/tests/report_cache

.PHONY: all libs tests test demo figure types mutations bench bench-coverage bench-import bench-tools asan install uninstall clean deps check-deps format help
.DEFAULT_GOAL := all

all: $(PROGRAMS) ## build the programs (build/deer-*)
libs: $(LIBDEER) $(LIBDATASETS) $(LIBTABLETOP) $(LIBBUDGETS) $(LIBCALIB)
tests: $(TESTS) $(HELPERS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# Tiles of products, compiled once for each instruction set that the compiler's machine may have. Sums
# are fused.
ISA = $(BUILD)/runtime/isa_
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
$(ISA)generic.o $(ISA)avx2.o $(ISA)avx512.o $(ISA)avx512_dot.o $(ISA)neon.o: ALL_CFLAGS += -ffp-contract=fast -Wno-psabi
ifeq ($(MACHINE),x86_64)
$(ISA)avx2.o: ALL_CFLAGS += -mavx2 -mfma -mf16c
$(ISA)avx512.o $(ISA)avx512_dot.o: ALL_CFLAGS += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mprefer-vector-width=512
$(ISA)avx512_dot.o: ALL_CFLAGS += -mavx512bf16 -mavx512vnni
else ifeq ($(MACHINE),aarch64)
$(ISA)neon.o: ALL_CFLAGS += -march=armv8.2-a+dotprod
endif

# The simulator's scene, as a C string.
$(BUILD)/datasets/tabletop/scene_xml.c: datasets/tabletop/scene.xml
	@mkdir -p $(@D)
	@{ echo 'extern const char tabletop_scene_xml[];'; echo 'const char tabletop_scene_xml[] ='; \
	   sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/"&\\n"/' $<; echo ';'; } > $@
$(BUILD)/datasets/tabletop/scene_xml.o: $(BUILD)/datasets/tabletop/scene_xml.c
	$(CC) $(ALL_CFLAGS) -c $< -o $@

# The hardware profiles, likewise: a table of names and texts.
HARDWARE := $(sort $(wildcard budgets/hardware/*.json))
$(BUILD)/budgets/hardware_texts.c: $(HARDWARE)
	@mkdir -p $(@D)
	@{ echo '#include "budgets/hardware_internal.h"'; echo 'const hardware_text hardware_texts[] = {'; \
	   for f in $^; do echo "{\"$$(basename $$f .json)\","; \
	     sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/"&\\n"/' $$f; echo '},'; done; \
	   echo '{0, 0}};'; } > $@
$(BUILD)/budgets/hardware_texts.o: $(BUILD)/budgets/hardware_texts.c
	$(CC) $(ALL_CFLAGS) -c $< -o $@

# The report's page, likewise: template, style and script, and the libraries it is drawn with, which
# npm fetches as reports/page/package-lock.json pins them. \? in place of ? keeps trigraphs away.
embed_text = @mkdir -p $(@D); { echo 'extern const char page_$(basename $(@F))[];'; \
             echo 'const char page_$(basename $(@F))[] ='; \
             sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/?/\\?/g' -e 's/.*/"&\\n"/' $<; echo ';'; } > $@
PAGE_MODULES := $(PAGE)/node_modules/.package-lock.json
PAGE_D3      := $(PAGE)/node_modules/d3/dist/d3.min.js
PAGE_PLOT    := $(PAGE)/node_modules/@observablehq/plot/dist/plot.umd.min.js
$(PAGE_MODULES): reports/page/package.json reports/page/package-lock.json
	@mkdir -p $(PAGE)
	@cp $^ $(PAGE)
	cd $(PAGE) && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error
	@touch $@
$(PAGE_D3) $(PAGE_PLOT): $(PAGE_MODULES) ;
$(PAGE)/template_html.c: reports/page/template.html
	$(embed_text)
$(PAGE)/style_css.c: reports/page/style.css
	$(embed_text)
$(PAGE)/script_js.c: reports/page/script.js
	$(embed_text)
$(PAGE)/d3_js.c: $(PAGE_D3)
	$(embed_text)
$(PAGE)/plot_js.c: $(PAGE_PLOT)
	$(embed_text)
$(PAGE)/%.o: $(PAGE)/%.c
	$(CC) $(ALL_CFLAGS) -c $< -o $@

$(LIBDEER): $(RUNTIME)
$(LIBDATASETS): $(DATASETS)
$(LIBTABLETOP): $(TABLETOP)
$(LIBBUDGETS): $(BUDGETS)
$(LIBCALIB): $(CALIB)
$(LIBRUN): $(RUN)
$(LIBREPORTS): $(REPORTS)
$(LIBDEER) $(LIBDATASETS) $(LIBTABLETOP) $(LIBBUDGETS) $(LIBCALIB) $(LIBRUN) $(LIBREPORTS):
	@rm -f $@
	$(AR) rcs $@ $^

link = $(CC) $(ALL_CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@

$(BUILD)/deer-model: $(BUILD)/runtime/deer_model.o $(MODEL) $(TOOL) $(LIBDATASETS) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(DATASETS_LIBS) $(RUNTIME_LIBS)
ifeq ($(LEAN),1)
$(BUILD)/runtime/deer_run.o: ALL_CFLAGS += -DDEER_LEAN
$(BUILD)/deer-run: $(BUILD)/runtime/deer_run.o $(filter-out %/episode.o %/played.o %/played_print.o,$(RUN)) $(TOOL) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(RUNTIME_LIBS)
else
$(BUILD)/deer-run: $(BUILD)/runtime/deer_run.o $(RUN) $(TOOL) $(LIBDATASETS) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(DATASETS_LIBS) $(RUNTIME_LIBS)
endif
$(BUILD)/deer-data: $(BUILD)/datasets/deer_data.o $(DATA) $(TOOL) $(LIBDATASETS) $(LIBDEER)
	$(link) $(call pc_libs,libpng) $(DATASETS_LIBS) $(RUNTIME_LIBS)
$(BUILD)/deer-sim: $(BUILD)/datasets/deer_sim.o $(SIM) $(TOOL) $(LIBTABLETOP) $(LIBDATASETS) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(TABLETOP_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)
$(BUILD)/deer-calib: $(BUILD)/calib/deer_calib.o $(CALIB_CMD) $(TOOL) $(LIBCALIB) $(LIBDATASETS) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(CALIB_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)

$(BUILD)/deer-report: $(BUILD)/reports/deer_report.o $(LIBREPORTS) $(TOOL) $(LIBCALIB) $(LIBDATASETS) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(call pc_libs,libpng) $(CALIB_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(LIBREPORTS) $(LIBRUN) $(TOOL) $(LIBCALIB) $(LIBTABLETOP) $(LIBDATASETS) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(TABLETOP_LIBS) $(CALIB_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS) -lcmocka

$(BUILD)/tests/test_cost: LDFLAGS += -Wl,--wrap=linear_run,--wrap=attention_run

# The kernels and their tests alone, without libraries: test_neon.sh cross-compiles them.
KERNELS := $(call objects,$(wildcard runtime/isa*.c) $(patsubst %,runtime/%.c,linear attention kernels \
             kernels_reference threads exit_policy))
$(BUILD)/tests/kernels: $(BUILD)/tests/test_kernels.o $(KERNELS)
	$(link) -static -lm -lpthread

# A fuzz target brings its own main (libFuzzer); `make fuzz` builds it with what that needs.
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(LIBDATASETS) $(LIBDEER)
	$(link) -fsanitize=fuzzer $(DATASETS_LIBS) $(RUNTIME_LIBS)

$(HELPERS): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIBCALIB) $(LIBDATASETS) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(CALIB_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)

$(BUILD)/bench/stages.o: ALL_CFLAGS += $(call pc_cflags,openblas)
$(BUILD)/bench/stages: $(BUILD)/bench/stages.o $(LIBRUN) $(TOOL) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(call pc_libs,openblas) $(RUNTIME_LIBS)

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# ---- the one command each: `make test`, `make demo` ----

# Built in a second make, so that packages installed by the first are seen by pkg-config.
test: check-deps ## install what is missing, build, run every test
	@$(MAKE) --no-print-directory run-tests

demo: check-deps ## record, calibrate and run on the tabletop; build/demo/report.html
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) reports/demo.sh

.PHONY: run-tests
run-tests: all tests
	@BUILD=$(BUILD) tests/run.sh

figure: all ## success against GFLOPs: docs/curve.svg (about 15 minutes)
	@BUILD=$(BUILD) reports/curve.sh

types: all ## success with bf16 and q8 weights: docs/types.csv (about 10 minutes)
	@BUILD=$(BUILD) reports/types.sh

mutations: ## show that the golden tests notice mistakes
	@BUILD=$(BUILD) tests/mutations.sh

bench: all $(BUILD)/bench/stages ## a step at 3B size beside PyTorch and the machine's limits: build/bench.json
	@BUILD=$(BUILD) bench/models.sh
	@BUILD=$(BUILD) /usr/bin/python3 bench/compare.py

bench-tools: all ## latency and memory per exit, speed of recording and of the solvers
	@BUILD=$(BUILD) reports/bench.sh

bench-coverage: all ## how often promises break, 300 draws a row (about 8 minutes)
	$(BUILD)/deer-calib bench --what coverage

bench-import: all ## speed of importing a model against cp (2 minutes, 9 GB of disk)
	@BUILD=$(BUILD) reports/import_speed.sh

asan: ## every test under the address and undefined-behaviour sanitizers
	@LSAN_OPTIONS=suppressions=tests/lsan.supp:print_suppressions=0 \
	  $(MAKE) --no-print-directory BUILD=$(BUILD)/asan CFLAGS="-O1 -g" run-tests \
	  EXTRA_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"

FUZZERS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS = 60

.PHONY: fuzz fuzzers
fuzzers: $(FUZZERS)
fuzz: PACKAGES += clang libclang-rt-14-dev
fuzz: check-deps ## fuzz every reader of files, FUZZ_SECONDS (60) each; needs clang
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang CFLAGS="-O1 -g" fuzzers \
	  EXTRA_CFLAGS="-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all"
	@BUILD=$(BUILD)/fuzz tests/fuzz/run.sh $(FUZZ_SECONDS)

install: all ## programs, library and header below PREFIX (default /usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include/deer
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(LIBDEER) $(DESTDIR)$(PREFIX)/lib
	install -m 644 runtime/deer.h $(DESTDIR)$(PREFIX)/include/deer
	sed 's|"runtime/deer.h"|<deer/deer.h>|' runtime/drift.h >$(DESTDIR)$(PREFIX)/include/deer/drift.h

uninstall: ## remove what install put there
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(notdir $(PROGRAMS)))
	rm -f $(DESTDIR)$(PREFIX)/lib/libdeer.a $(DESTDIR)$(PREFIX)/include/deer/deer.h $(DESTDIR)$(PREFIX)/include/deer/drift.h

MISSING = $(shell dpkg-query -W -f='$${Package} $${Status}\n' $(PACKAGES) 2>/dev/null | \
            awk '/ok installed/ { have[$$1] } END { n = split("$(PACKAGES)", p); \
                 for (i = 1; i <= n; i++) if (!(p[i] in have)) print p[i] }')
SUDO    = $(if $(filter 0,$(shell id -u)),,sudo)

deps: ## install the Debian packages that are missing
	@missing="$(strip $(MISSING))"; if [ -n "$$missing" ]; then echo "installing $$missing"; \
	  $(SUDO) apt-get update -q && DEBIAN_FRONTEND=noninteractive \
	  $(SUDO) apt-get install -q -y --no-install-recommends $$missing; \
	else echo "every package is there"; fi

check-deps:
	@[ -z "$(strip $(MISSING))" ] || $(MAKE) --no-print-directory deps PACKAGES="$(PACKAGES)"

format: ## clang-format every source file
	clang-format -i $$(git ls-files '*.c' '*.h')

clean: ## remove everything built
	rm -rf $(BUILD)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile
