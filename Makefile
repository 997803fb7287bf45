# deer: calibrated early exit for vision-language-action models. `make help` lists the targets.

CC       ?= cc
CFLAGS   ?= -O3 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-missing-field-initializers
ifdef CI
WARNINGS += -Werror
endif
BUILD    ?= build
PREFIX   ?= /usr/local
LEAN     ?= 0

# Debian 12 packages: what the programs need, and what only development and drawing need.
PACKAGES := build-essential pkg-config libopenblas-dev libnlopt-dev libhdf5-dev zlib1g-dev \
            libjansson-dev libxxhash-dev libcmocka-dev libmujoco-dev libegl-dev libgl1-mesa-dri \
            libpng-dev gnuplot-nox

pc_cflags = $(shell pkg-config --cflags $(1) 2>/dev/null)
pc_libs   = $(shell pkg-config --libs $(1) 2>/dev/null)

RUNTIME_PC  := openblas jansson
DATASETS_PC := hdf5 libxxhash
TABLETOP_PC := egl libpng
CALIB_PC    := nlopt

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -I. -fno-math-errno -ffp-contract=off $(WARNINGS) \
             $(call pc_cflags,$(RUNTIME_PC) $(DATASETS_PC) $(CALIB_PC)) $(CFLAGS) $(EXTRA_CFLAGS)

# A folder's mains are deer_<tool>.c; everything else in it is its library.
mains      = $(wildcard $(1)/deer_*.c)
library    = $(filter-out $(call mains,$(1)),$(wildcard $(1)/*.c))
objects    = $(patsubst %.c,$(BUILD)/%.o,$(1))
RUNTIME   := $(call objects,$(call library,runtime))
DATASETS  := $(call objects,$(call library,datasets))
TABLETOP  := $(call objects,$(call library,datasets/tabletop)) $(BUILD)/datasets/tabletop/scene_xml.o
SIM       := $(call objects,$(wildcard datasets/sim/*.c))
BUDGETS   := $(call objects,$(call library,budgets))
REPORTS   := $(call objects,$(call library,reports))
CALIB     := $(call objects,$(call library,calib))
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

PROGRAMS := $(patsubst deer_%,$(BUILD)/deer-%,$(basename $(notdir $(foreach d,runtime datasets calib reports,$(call mains,$(d))))))
TESTS    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))

.PHONY: all libs tests
all: $(PROGRAMS)
libs: $(LIBDEER) $(LIBDATASETS) $(LIBTABLETOP) $(LIBBUDGETS) $(LIBCALIB)
tests: $(TESTS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# The simulator's scene, as a C string.
$(BUILD)/datasets/tabletop/scene_xml.c: datasets/tabletop/scene.xml
	@mkdir -p $(@D)
	@{ echo 'extern const char tabletop_scene_xml[];'; echo 'const char tabletop_scene_xml[] ='; \
	   sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/"&\\n"/' $<; echo ';'; } > $@
$(BUILD)/datasets/tabletop/scene_xml.o: $(BUILD)/datasets/tabletop/scene_xml.c
	$(CC) $(ALL_CFLAGS) -c $< -o $@

$(LIBDEER): $(RUNTIME)
$(LIBDATASETS): $(DATASETS)
$(LIBTABLETOP): $(TABLETOP)
$(LIBBUDGETS): $(BUDGETS)
$(LIBCALIB): $(CALIB)
$(LIBDEER) $(LIBDATASETS) $(LIBTABLETOP) $(LIBBUDGETS) $(LIBCALIB):
	@rm -f $@
	$(AR) rcs $@ $^

link = $(CC) $(ALL_CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@

$(BUILD)/deer-run $(BUILD)/deer-model: $(BUILD)/deer-%: $(BUILD)/runtime/deer_%.o $(TOOL) $(LIBDATASETS) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(DATASETS_LIBS) $(RUNTIME_LIBS)
$(BUILD)/deer-data: $(BUILD)/datasets/deer_data.o $(TOOL) $(LIBDATASETS) $(LIBDEER)
	$(link) $(DATASETS_LIBS) $(RUNTIME_LIBS)
$(BUILD)/deer-sim: $(BUILD)/datasets/deer_sim.o $(SIM) $(TOOL) $(LIBTABLETOP) $(LIBDATASETS) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(TABLETOP_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)
$(BUILD)/deer-calib: $(BUILD)/calib/deer_calib.o $(TOOL) $(LIBCALIB) $(LIBDATASETS) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(CALIB_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)

$(BUILD)/deer-report: $(BUILD)/reports/deer_report.o $(REPORTS) $(TOOL) $(LIBDEER)
	$(link) $(RUNTIME_LIBS)

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(TOOL) $(LIBCALIB) $(LIBTABLETOP) $(LIBDATASETS) $(LIBBUDGETS) $(LIBDEER)
	$(link) $(TABLETOP_LIBS) $(CALIB_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS) -lcmocka

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

clean:
	rm -rf $(BUILD)
