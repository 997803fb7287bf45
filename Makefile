# SPDX-License-Identifier: MIT
# deer: calibrated early exit for vision-language-action models. `make help` lists the targets.

# CROSS_COMPILE=aarch64-linux-gnu- builds for another machine; SYSROOT is where its libraries are.
CROSS_COMPILE ?=
ifneq ($(CROSS_COMPILE),)
CC         := $(CROSS_COMPILE)gcc
AR         := $(CROSS_COMPILE)ar
endif
CC         ?= cc
CFLAGS     ?= -O3 -g
PKG_CONFIG ?= pkg-config
OBJCOPY    ?= $(CROSS_COMPILE)objcopy
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-missing-field-initializers
ifdef CI
WARNINGS += -Werror
endif
# LEAN=1: deer-run alone, without `episode` and HDF5, for the robot (in its own folder).
LEAN     ?= 0
ifeq ($(LEAN),1)
BUILD    ?= build/lean
else
BUILD    ?= build
endif

# GPU=1: with GPUs, by way of Vulkan; GPU=0: without. By itself: with, where what that needs is there.
# Neither loader nor driver is linked: libvulkan.so.1 is opened by name when a device is asked for.
GLSLANG  ?= glslangValidator
ifneq ($(and $(shell command -v $(GLSLANG)),$(shell echo '\#include <vulkan/vulkan.h>' | $(CC) -E -x c - >/dev/null 2>&1 && echo there)),)
GPU      ?= 1
else
GPU      ?= 0
endif
GPU_PACKAGES := libvulkan-dev glslang-tools

# BLAS=openblas: large products by OpenBLAS on processors that have no tiles of ours; BLAS=none: without.
# By itself: with, where its headers are. It is not linked: libopenblas.so.0 is opened by name there.
BLAS     ?= $(if $(shell $(PKG_CONFIG) --libs openblas 2>/dev/null),openblas,none)

# MPI=1: deer-calib and deer-sim run as many ranks under mpirun, by Open MPI (docs/scaling.md).
MPI      ?= 0
MPI_PACKAGES := libopenmpi-dev openmpi-bin

# Debian 12 packages that the programs and the demo need. What only some targets need is added to
# PACKAGES where these are.
PACKAGES := build-essential pkg-config libnlopt-dev liblapacke-dev libhdf5-dev zlib1g-dev liblzf-dev \
            libavformat-dev libavcodec-dev libswscale-dev libsnappy-dev libzstd-dev \
            libjansson-dev libpcre2-dev libutf8proc-dev libxxhash-dev libmujoco-dev \
            libegl-dev libgl1-mesa-dri libpng-dev libwebp-dev
LEAN_PACKAGES := build-essential pkg-config libjansson-dev libpcre2-dev libutf8proc-dev
ifeq ($(LEAN),1)
PACKAGES := $(LEAN_PACKAGES)
endif
ifneq ($(origin GPU),command line)
PACKAGES += $(GPU_PACKAGES)
else ifeq ($(GPU),1)
PACKAGES += $(GPU_PACKAGES)
endif
ifeq ($(MPI),1)
PACKAGES += $(MPI_PACKAGES)
endif

# What tests need besides: libraries and tools that use deer, compilers and emulators for the kernels
# of other machines, a browser for the report's page. Node.js, npm and Chromium of other origin than
# Debian's do as well.
TEST_PACKAGES := libopenblas-dev libcmocka-dev libzip-dev cmake g++ mandoc libwebsockets-dev python3-websockets python3-msgpack python3-h5py \
                 python3-cffi python3-numpy python3-pytest python3-pip $(MPI_PACKAGES)
ifneq ($(GPU),0)
TEST_PACKAGES += mesa-vulkan-drivers vulkan-validationlayers spirv-tools
endif
ifeq ($(shell command -v npm),)
FIGURE_PACKAGES += nodejs npm
endif
ifeq ($(shell command -v chromium),)
FIGURE_PACKAGES += chromium
endif
TEST_PACKAGES += $(FIGURE_PACKAGES)
ifeq ($(shell uname -m),x86_64)
TEST_PACKAGES += gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
endif
CLANG_PACKAGES := clang libclang-rt-14-dev

pc_cflags = $(shell $(PKG_CONFIG) --cflags $(1) 2>/dev/null)
pc_libs   = $(shell $(PKG_CONFIG) --libs $(1) 2>/dev/null)

# Commands are shown with V=1; otherwise one short line for each file.
V ?= 0
ifeq ($(V),0)
Q   := @
none :=
tab  := $(none)	$(none)
ifeq ($(findstring s,$(filter-out -%,$(firstword $(MAKEFLAGS)))),)
say   = $(info $(1)$(tab)$(patsubst $(BUILD)/%,%,$@))
endif
endif

RUNTIME_PC  := jansson libpcre2-8 libutf8proc
DATASETS_PC := hdf5 libxxhash zlib liblzf
SOURCES_PC  := libzstd
VIDEO_PC    := libavformat libavcodec libswscale libavutil
TABLETOP_PC := egl libpng libwebpmux libwebp
CALIB_PC    := nlopt
LAPACK_PC   := lapacke
SERVE_PC    := libwebsockets
MPI_PC      := ompi-c

PC_CFLAGS := $(call pc_cflags,$(RUNTIME_PC) $(DATASETS_PC) $(CALIB_PC))
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -I. -fvisibility=hidden -fno-math-errno -fno-trapping-math -ffp-contract=off $(WARNINGS) \
             $(PC_CFLAGS) $(CFLAGS) $(EXTRA_CFLAGS)

# A part of a library is a folder of sources; programs are in <folder>/cli.
sources    = $(foreach d,$(1),$(wildcard $(d)/*.c))
objects    = $(patsubst %.c,$(BUILD)/%.o,$(1))
RUNTIME   := $(call objects,$(call sources,$(addprefix runtime/,base base/json base/threads kernels model text processor policy thresholds)) runtime/devices/open.c)
ifeq ($(GPU),1)
RUNTIME   += $(call objects,$(call sources,runtime/gpu)) $(BUILD)/runtime/gpu/shaders.o
else
RUNTIME   += $(call objects,runtime/devices/no_gpu.c)
endif
IMPORT    := $(call objects,$(call sources,runtime/import))
SERVE     := $(call objects,$(addprefix runtime/serve/,msgpack.c array.c protocol.c metrics.c step_log.c robot.c work.c))
BUDGETS   := $(call objects,$(call sources,$(addprefix budgets/,cost machines measure))) $(BUILD)/budgets/machines/texts.o
DATASETS  := $(call objects,$(call sources,$(addprefix datasets/,hdf5 demos sources parquet tfrecord video)))
TABLETOP  := $(call objects,$(call sources,datasets/tabletop)) $(BUILD)/datasets/tabletop/scene_xml.o
CALIB     := $(call objects,$(call sources,$(addprefix calib/,cache replay problem solve criterion guarantee online pipeline)) calib/cluster/cluster_one.c)
# One rank, or those of MPI: the only difference between a program with and without.
CLUSTER_MPI := $(BUILD)/calib/cluster/cluster_mpi.o
ifeq ($(MPI),1)
CLUSTER   := $(CLUSTER_MPI)
else
CLUSTER   := $(BUILD)/calib/cluster/cluster_one.o
endif
CALIB_PUBLIC := $(call objects,$(call sources,calib/library))
PAGE      := $(BUILD)/reports/page
REPORTS   := $(call objects,$(call sources,$(addprefix reports/,answer formats page))) \
             $(addprefix $(PAGE)/,template_html.o style_css.o compare_html.o compare_js.o table_html.o table_js.o latency_js.o judge_js.o charts_js.o script_js.o d3_js.o plot_js.o)
TOOL      := $(call objects,$(wildcard runtime/cli/tool*.c))
cli        = $(call objects,$(wildcard $(1)))
RUN_CLI   := $(call cli,runtime/cli/deer_run.c runtime/cli/run_*.c)
MODEL_CLI := $(call cli,runtime/cli/deer_model.c runtime/cli/model/*.c)
DATA_CLI  := $(call cli,datasets/cli/deer_data.c datasets/cli/data_*.c datasets/cli/png_file.c)
SIM_CLI   := $(call cli,datasets/cli/deer_sim.c datasets/cli/sim/*.c datasets/cli/png_file.c)
CALIB_CLI := $(call cli,calib/cli/*.c calib/cli/bench/*.c)
REPORT_CLI := $(call cli,reports/cli/*.c)

RUNTIME_LIBS  := $(call pc_libs,$(RUNTIME_PC)) -lm -lpthread
DATASETS_LIBS := $(call pc_libs,$(DATASETS_PC))
SOURCES_LIBS  := $(call pc_libs,$(SOURCES_PC)) -lsnappy
TABLETOP_LIBS := -Wl,--no-as-needed $(call pc_libs,$(TABLETOP_PC)) -lGL -lmujoco -Wl,--as-needed
CALIB_LIBS    := -Wl,--as-needed $(call pc_libs,$(CALIB_PC))
SERVE_LIBS    := $(call pc_libs,$(SERVE_PC))
# Without libwebsockets everything is built but the sockets, and deer-run serve says so.
ifneq ($(SERVE_LIBS),)
SERVE         += $(call objects,$(addprefix runtime/serve/,listen.c connection.c server.c remote.c))
endif
PNG_LIBS      := $(call pc_libs,libpng)
MPI_LIBS      := $(call pc_libs,$(MPI_PC))
ifeq ($(MPI),1)
CLUSTER_LIBS  := $(MPI_LIBS)
endif

# What others link has the public names only: libdeer.so and libdeer.a. Programs and tests see all.
VERSION     := $(shell sed -n 's/^\#define DEER_VERSION "\(.*\)"/\1/p' runtime/deer.h)
MAJOR       := $(firstword $(subst ., ,$(VERSION)))
SONAME      := libdeer.so.$(MAJOR)
LIBDEER     := $(BUILD)/libdeer.a
LIBDEER_SO  := $(BUILD)/libdeer.so.$(VERSION)
LIBDEERCALIB_SO := $(BUILD)/libdeercalib.so.$(VERSION)
LIBRUNTIME  := $(BUILD)/libruntime.a
LIBIMPORT   := $(BUILD)/libimport.a
LIBSERVE    := $(BUILD)/libserve.a
LIBDATASETS := $(BUILD)/libdatasets.a
LIBTABLETOP := $(BUILD)/libtabletop.a
LIBBUDGETS  := $(BUILD)/libbudgets.a
LIBCALIB    := $(BUILD)/libcalib.a
LIBREPORTS  := $(BUILD)/libreports.a

PROGRAMS := $(addprefix $(BUILD)/deer-,model run data sim calib report)
ifeq ($(LEAN),1)
PROGRAMS := $(BUILD)/deer-run
endif
TEST_SOURCES := $(wildcard tests/*/test_*.c)
ifneq ($(GPU),1)
TEST_SOURCES := $(filter-out tests/gpu/%,$(TEST_SOURCES))
endif
TESTS    := $(patsubst %.c,$(BUILD)/tests/%,$(notdir $(TEST_SOURCES)))
HELPERS  := $(BUILD)/tests/command_helper $(BUILD)/tests/report_cache
BARE     := $(BUILD)/tests/deer-report-bare
ifneq ($(MPI_LIBS),)
MPI_PROGRAMS := $(BUILD)/mpi/deer-calib $(BUILD)/mpi/deer-sim
endif

.PHONY: all libs tests
.DEFAULT_GOAL := all

SHARED   := $(LIBDEER_SO) $(LIBDEERCALIB_SO)
ifeq ($(LEAN),1)
SHARED   := $(LIBDEER_SO)
endif

all: $(PROGRAMS) $(LIBDEER) $(SHARED) ## build programs and libraries (build/deer-*, build/libdeer*)
libs: $(LIBDEER) $(SHARED) $(LIBRUNTIME) $(LIBIMPORT) $(LIBDATASETS) $(LIBTABLETOP) $(LIBBUDGETS) $(LIBCALIB)
tests: $(TESTS) $(HELPERS) $(BARE) $(MPI_PROGRAMS)

# What is compiled depends on how: another compiler or other flags build it again. Folders are made here, once.
FLAGS := $(BUILD)/flags
FOLDERS := $(shell find bench budgets calib datasets reports runtime tests -name '*.c' -printf '%h\n' | sort -u)
.PHONY: always
$(FLAGS): always
	@mkdir -p $(addprefix $(BUILD)/,$(FOLDERS))
	@echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' >$@

compile = $(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/%.o: %.c $(FLAGS)
	$(call say,CC)
	$(Q)$(compile)

$(BUILD)/%.o: $(BUILD)/%.c $(FLAGS)
	$(call say,CC)
	$(Q)$(compile)

# Only these see the headers of video libraries, whose folder is the machine's own. They are opened by
# name when a first picture is read (datasets/video/decoders.h).
$(call objects,$(call sources,datasets/video)): ALL_CFLAGS += $(call pc_cflags,$(VIDEO_PC))
$(call objects,$(call sources,datasets/parquet)): ALL_CFLAGS += $(call pc_cflags,$(SOURCES_PC))

# And only these those of websockets; what is built with them or without is built again when they come.
SERVE_FROM := $(BUILD)/serve_from
$(SERVE_FROM): always
	@mkdir -p $(@D)
	@echo '$(SERVE_LIBS)' | cmp -s - $@ || echo '$(SERVE_LIBS)' >$@
$(BUILD)/libserve.a $(BUILD)/runtime/cli/run_serve.o $(BUILD)/datasets/cli/sim/sim_remote.o: $(SERVE_FROM)
# LAPACK is opened by name, by a search that needs it.
$(call objects,calib/online/gaussian.c calib/online/lapack.c calib/online/search.c): ALL_CFLAGS += $(call pc_cflags,$(LAPACK_PC))
$(CLUSTER_MPI): ALL_CFLAGS += $(call pc_cflags,$(MPI_PC))
$(SERVE): ALL_CFLAGS += $(call pc_cflags,$(SERVE_PC))
$(BUILD)/runtime/cli/run_serve.o $(BUILD)/datasets/cli/sim/sim_remote.o: ALL_CFLAGS += $(if $(SERVE_LIBS),-DDEER_WEBSOCKETS)

# What is built with OpenBLAS or without is built again when that changes.
WITH_BLAS := $(BUILD)/with-blas
$(WITH_BLAS): always
	@mkdir -p $(@D)
	@echo '$(BLAS)' | cmp -s - $@ || { echo '$(BLAS)' >$@; [ '$(origin BLAS) $(BLAS)' != 'file none' ] || \
	   echo 'Built without OpenBLAS, which only processors without kernels of ours use: libopenblas-dev (or say BLAS=none).'; }
$(BUILD)/runtime/kernels/blas.o: $(WITH_BLAS)
ifeq ($(BLAS),openblas)
$(BUILD)/runtime/kernels/blas.o: ALL_CFLAGS += -DDEER_BLAS $(call pc_cflags,openblas)
endif

# Tiles of products, compiled once for each instruction set that the compiler's machine may have. Sums
# are fused, which GCC does from -O2 on: TILES_CFLAGS, of all that fuse, has that where the rest is -O1.
ISA = $(BUILD)/runtime/kernels/isa_
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
$(ISA)generic.o $(ISA)avx2.o $(ISA)avx512.o $(ISA)avx512_dot.o $(ISA)amx.o $(ISA)neon.o $(ISA)neon_dot.o $(ISA)neon_mmla.o: ALL_CFLAGS += -ffp-contract=fast -Wno-psabi
ifeq ($(MACHINE),x86_64)
$(ISA)avx2.o: ALL_CFLAGS += -mavx2 -mfma -mf16c $(TILES_CFLAGS)
$(ISA)avx512.o $(ISA)avx512_dot.o $(ISA)amx.o: ALL_CFLAGS += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mprefer-vector-width=512 $(TILES_CFLAGS)
$(ISA)avx512_dot.o: ALL_CFLAGS += -mavx512bf16 -mavx512vnni
$(ISA)amx.o: ALL_CFLAGS += -mamx-tile -mamx-bf16 -mamx-int8
else ifeq ($(MACHINE),aarch64)
# GCC's scheduling before registers are given out takes more of them than there are.
$(ISA)neon.o $(ISA)neon_dot.o $(ISA)neon_mmla.o: ALL_CFLAGS += $(if $(findstring clang,$(CC)),,-fno-schedule-insns)
$(ISA)neon.o: ALL_CFLAGS += -march=armv8.2-a+dotprod
$(ISA)neon_dot.o: ALL_CFLAGS += -march=armv8.2-a+dotprod+bf16
$(ISA)neon_mmla.o: ALL_CFLAGS += -march=armv8.2-a+dotprod+bf16+i8mm
endif

# The simulator's scene, as a C string.
$(BUILD)/datasets/tabletop/scene_xml.c: datasets/tabletop/scene.xml
	@mkdir -p $(@D)
	@{ echo 'extern const char tabletop_scene_xml[];'; echo 'const char tabletop_scene_xml[] ='; \
	   sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/"&\\n"/' $<; echo ';'; } > $@

# Shaders for GPUs, compiled and as C arrays. Those for matrix units are kept compiled (matrix_code.py).
SHADERS := $(sort $(filter-out %/linear_matrix.comp,$(wildcard runtime/gpu/shaders/*.comp)))
MATRIX_WORDS := $(addprefix runtime/gpu/shaders/,linear_matrix_bf16.words linear_matrix_q8.words)
$(BUILD)/runtime/gpu/shaders.c: $(SHADERS) $(wildcard runtime/gpu/shaders/*.glsl) $(MATRIX_WORDS)
	@mkdir -p $(@D)
	$(call say,GLSL)
	$(Q){ echo '#include "runtime/gpu/kernels.h"'; \
	   for f in $(SHADERS) $(addsuffix :DOTS,$(filter %/linear_few.comp %/linear_many.comp,$(SHADERS))); do \
	     name=$$(basename $${f%:DOTS} .comp); how=; \
	     case $$f in *:DOTS) name=$${name}_dots; how=-DDOTS;; esac; \
	     $(GLSLANG) -V $$how --target-env vulkan1.1 --vn gpu_code_$$name -o $(@D)/$$name.h $${f%:DOTS} >$(@D)/said || \
	       { cat $(@D)/said >&2; rm -f $@; exit 1; }; \
	     echo "extern const uint32_t gpu_code_$$name[]; extern const size_t gpu_size_$$name;"; \
	     echo "#include \"$$name.h\""; \
	     echo "const size_t gpu_size_$$name = sizeof gpu_code_$$name;"; done; \
	   for f in $(MATRIX_WORDS); do \
	     name=$$(basename $$f .words); \
	     echo "extern const uint32_t gpu_code_$$name[]; extern const size_t gpu_size_$$name;"; \
	     echo "const uint32_t gpu_code_$$name[] = {"; echo "#include \"$$f\""; echo "};"; \
	     echo "const size_t gpu_size_$$name = sizeof gpu_code_$$name;"; done; } >$@.new && mv $@.new $@

# The same for devices without matrix units, for tests' own driver.
EMULATED_MATRICES := $(BUILD)/tests/gpu/emulated_matrices
$(EMULATED_MATRICES).c: runtime/gpu/shaders/linear_matrix.comp $(wildcard runtime/gpu/shaders/*.glsl)
	@mkdir -p $(@D)
	$(call say,GLSL)
	$(Q){ echo '#include <stddef.h>'; echo '#include <stdint.h>'; \
	   for how in q8: bf16:-DHALVES; do \
	     name=emulated_$${how%%:*}; \
	     $(GLSLANG) -V -DEMULATED -DDOTS $${how#*:} --target-env vulkan1.1 --vn $$name -o $(@D)/$$name.h $< >$(@D)/said || \
	       { cat $(@D)/said >&2; exit 1; }; \
	     echo "extern const uint32_t $$name[]; extern const size_t $${name}_bytes;"; echo "#include \"$$name.h\""; \
	     echo "const size_t $${name}_bytes = sizeof $$name;"; done; } >$@.new && mv $@.new $@

# The hardware profiles, likewise: a table of names and texts.
MACHINES := $(sort $(wildcard budgets/machines/profiles/*.json))
$(BUILD)/budgets/machines/texts.c: $(MACHINES)
	@mkdir -p $(@D)
	@{ echo '#include "budgets/machines/hardware_internal.h"'; echo 'const hardware_text hardware_texts[] = {'; \
	   for f in $^; do echo "{\"$$(basename $$f .json)\","; \
	     sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/"&\\n"/' $$f; echo '},'; done; \
	   echo '{0, 0}};'; } > $@

# The report's page, likewise: template, style and script, and the libraries it is drawn with, which
# npm fetches as reports/page/package-lock.json pins them. Where there is no npm, deer-report is built
# without them and says so when a page is asked for. \? in place of ? keeps trigraphs away.
embed_text = @mkdir -p $(@D); { echo 'extern const char page_$(basename $(@F))[];'; \
             echo 'const char page_$(basename $(@F))[] ='; \
             sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/?/\\?/g' -e 's/.*/"&\\n"/' $<; echo '"";'; } > $@
NPM          ?= $(shell command -v npm)
PAGE_MODULES := $(PAGE)/node_modules/.package-lock.json
ifneq ($(wildcard reports/page/vendor/d3.min.js),)
PAGE_D3      := reports/page/vendor/d3.min.js
PAGE_PLOT    := reports/page/vendor/plot.umd.min.js
else ifneq ($(NPM),)
PAGE_D3      := $(PAGE)/node_modules/d3/dist/d3.min.js
PAGE_PLOT    := $(PAGE)/node_modules/@observablehq/plot/dist/plot.umd.min.js
else
PAGE_D3      := $(PAGE)/none
PAGE_PLOT    := $(PAGE)/none
endif
$(PAGE_MODULES): reports/page/package.json reports/page/package-lock.json
	@mkdir -p $(PAGE)
	@cp $^ $(PAGE)
	cd $(PAGE) && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error
	@touch $@
$(PAGE)/node_modules/d3/dist/d3.min.js $(PAGE)/node_modules/@observablehq/plot/dist/plot.umd.min.js: $(PAGE_MODULES) ;
$(PAGE)/none:
	@mkdir -p $(@D)
	@: >$@
PAGE_FROM := $(PAGE)/from
$(PAGE_FROM): always
	@mkdir -p $(@D)
	@echo '$(PAGE_D3:$(BUILD)/%=%)' | cmp -s - $@ || echo '$(PAGE_D3:$(BUILD)/%=%)' >$@
$(PAGE)/%_html.c: reports/page/%.html
	$(embed_text)
$(PAGE)/style_css.c: reports/page/style.css
	$(embed_text)
$(PAGE)/%_js.c: reports/page/%.js
	$(embed_text)
$(PAGE)/d3_js.c: $(PAGE_D3) $(PAGE_FROM)
	$(embed_text)
$(PAGE)/plot_js.c: $(PAGE_PLOT) $(PAGE_FROM)
	$(embed_text)
$(PAGE)/bare/d3_js.c $(PAGE)/bare/plot_js.c: $(PAGE)/none
	$(embed_text)

# What is in the library depends on GPU.
WITH_GPU := $(BUILD)/with-gpu
$(WITH_GPU): always
	@mkdir -p $(@D)
	@echo '$(GPU)' | cmp -s - $@ || { echo '$(GPU)' >$@; \
	   [ '$(GPU)' = 1 ] || echo 'Built without GPUs: that needs the packages $(GPU_PACKAGES) (or say GPU=0).'; }
$(LIBRUNTIME) $(LIBDEER) $(LIBDEER_SO): $(WITH_GPU)
# And which of the two a program has, on MPI.
WITH_MPI := $(BUILD)/with-mpi
$(WITH_MPI): always
	@mkdir -p $(@D)
	@echo '$(MPI)' | cmp -s - $@ || echo '$(MPI)' >$@
	@[ '$(MPI)' != 1 ] || [ -n '$(MPI_LIBS)' ] || { echo 'MPI=1 needs the packages $(MPI_PACKAGES).' >&2; exit 1; }
$(LIBRUNTIME): $(RUNTIME)
$(LIBIMPORT): $(IMPORT)
$(LIBSERVE): $(SERVE)
$(LIBDATASETS): $(DATASETS)
$(LIBTABLETOP): $(TABLETOP)
$(LIBBUDGETS): $(BUDGETS)
$(LIBCALIB): $(CALIB)
$(LIBREPORTS): $(REPORTS)
$(LIBRUNTIME) $(LIBIMPORT) $(LIBSERVE) $(LIBDATASETS) $(LIBTABLETOP) $(LIBBUDGETS) $(LIBCALIB) $(LIBREPORTS):
	$(call say,AR)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

# The library for other programs. Its objects are position-independent and hide what is not marked
# DEER_API; in the archive they are one object, in which hidden names are local: a program's own
# functions, or another library's, can neither replace them nor be replaced by them.
# (A sanitizer's own functions are the program's.)
NO_UNDEFINED := $(if $(findstring -fsanitize,$(EXTRA_CFLAGS)),,-Wl,--no-undefined)
$(RUNTIME): ALL_CFLAGS += -fPIC -fno-semantic-interposition
$(LIBDEER_SO): $(RUNTIME)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) $(NO_UNDEFINED) -Wl,-Bsymbolic-functions $(filter %.o,$^) -o $@ $(RUNTIME_LIBS)
	$(Q)ln -sf $(@F) $(BUILD)/$(SONAME)
	$(Q)ln -sf $(@F) $(BUILD)/libdeer.so
# Calibration for other programs: what calib/library has and hides all of what that is made from, a
# runtime of its own included.
$(CALIB_PUBLIC) $(CALIB) $(DATASETS) $(BUDGETS) $(IMPORT): ALL_CFLAGS += -fPIC -fno-semantic-interposition
$(LIBDEERCALIB_SO): $(CALIB_PUBLIC) $(LIBCALIB) $(LIBDATASETS) $(LIBBUDGETS) $(LIBIMPORT) $(LIBRUNTIME)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libdeercalib.so.$(MAJOR) $(NO_UNDEFINED) -Wl,--exclude-libs,ALL \
	  $(filter %.o,$^) $(filter %.a,$^) -o $@ $(CALIB_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)
	$(Q)ln -sf $(@F) $(BUILD)/libdeercalib.so.$(MAJOR)
	$(Q)ln -sf $(@F) $(BUILD)/libdeercalib.so
$(LIBDEER): $(RUNTIME)
	$(call say,AR)
	$(Q)$(CC) $(CFLAGS) -r -nostdlib $(filter %.o,$^) -o $(BUILD)/libdeer.o
	$(Q)$(OBJCOPY) --localize-hidden $(BUILD)/libdeer.o
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(BUILD)/libdeer.o

# A program is its objects, then libraries from the highest to the lowest, then other people's.
link = $(CC) $(ALL_CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@

$(BUILD)/deer-model: $(MODEL_CLI) $(TOOL) $(LIBBUDGETS) $(LIBIMPORT) $(LIBRUNTIME)
	$(call say,LINK)
	$(Q)$(link) $(RUNTIME_LIBS)
ifeq ($(LEAN),1)
$(BUILD)/runtime/cli/deer_run.o: ALL_CFLAGS += -DDEER_LEAN
$(BUILD)/deer-run: $(filter-out %/run_episode.o %/run_played.o %/run_played_print.o,$(RUN_CLI)) $(TOOL) $(LIBSERVE) $(LIBBUDGETS) $(LIBRUNTIME)
	$(call say,LINK)
	$(Q)$(link) $(SERVE_LIBS) $(RUNTIME_LIBS)
else
$(BUILD)/deer-run: $(RUN_CLI) $(TOOL) $(LIBSERVE) $(LIBDATASETS) $(LIBBUDGETS) $(LIBIMPORT) $(LIBRUNTIME)
	$(call say,LINK)
	$(Q)$(link) $(SERVE_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)
endif
$(BUILD)/deer-data: $(DATA_CLI) $(TOOL) $(LIBDATASETS) $(LIBIMPORT) $(LIBRUNTIME)
	$(call say,LINK)
	$(Q)$(link) $(PNG_LIBS) $(SOURCES_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)
SIM_PARTS := $(SIM_CLI) $(TOOL) $(LIBSERVE) $(LIBTABLETOP) $(LIBDATASETS) $(LIBBUDGETS) $(LIBIMPORT) $(LIBRUNTIME)
$(BUILD)/deer-sim: $(CLUSTER) $(SIM_PARTS) $(WITH_MPI)
	$(call say,LINK)
	$(Q)$(link) $(TABLETOP_LIBS) $(SERVE_LIBS) $(DATASETS_LIBS) $(CLUSTER_LIBS) $(RUNTIME_LIBS)
CALIB_PARTS := $(CALIB_CLI) $(TOOL) $(LIBCALIB) $(LIBDATASETS) $(LIBBUDGETS) $(LIBIMPORT) $(LIBRUNTIME)
$(BUILD)/deer-calib: $(CLUSTER) $(CALIB_PARTS) $(WITH_MPI)
	$(call say,LINK)
	$(Q)$(link) $(CALIB_LIBS) $(DATASETS_LIBS) $(CLUSTER_LIBS) $(RUNTIME_LIBS)
# The same with MPI, whatever the others are built with: for tests.
$(BUILD)/mpi/deer-sim: $(CLUSTER_MPI) $(SIM_PARTS)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(link) $(TABLETOP_LIBS) $(SERVE_LIBS) $(DATASETS_LIBS) $(MPI_LIBS) $(RUNTIME_LIBS)
$(BUILD)/mpi/deer-calib: $(CLUSTER_MPI) $(CALIB_PARTS)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(link) $(CALIB_LIBS) $(DATASETS_LIBS) $(MPI_LIBS) $(RUNTIME_LIBS)
# A deer-report without the page's libraries, to test what it then says.
$(BARE): $(REPORT_CLI) $(TOOL) $(PAGE)/bare/d3_js.o $(PAGE)/bare/plot_js.o $(filter-out %/d3_js.o %/plot_js.o,$(REPORTS)) $(LIBCALIB) $(LIBDATASETS) $(LIBBUDGETS) $(LIBIMPORT) $(LIBRUNTIME)
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(link) $(PNG_LIBS) $(CALIB_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)
$(BUILD)/deer-report: $(REPORT_CLI) $(TOOL) $(LIBREPORTS) $(LIBCALIB) $(LIBDATASETS) $(LIBBUDGETS) $(LIBIMPORT) $(LIBRUNTIME)
	$(call say,LINK)
	$(Q)$(link) $(PNG_LIBS) $(CALIB_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)

# For tests, which are many and large.
FAST_LINKER := $(shell $(CC) -fuse-ld=gold -Wl,--version >/dev/null 2>&1 && echo -fuse-ld=gold)

# A test's program is named for its source, wherever under tests/ that lies.
EVERYTHING := $(LIBREPORTS) $(LIBCALIB) $(LIBTABLETOP) $(LIBSERVE) $(LIBDATASETS) $(LIBBUDGETS) $(LIBIMPORT) $(LIBRUNTIME)
define test_program
$(BUILD)/tests/$(basename $(notdir $(1))): $(patsubst %.c,$(BUILD)/%.o,$(1)) $(TOOL) $(EVERYTHING)
endef
# An old robot's program: of libdeer it sees what the shared library shows.
OLD_PROGRAM := $(BUILD)/tests/test_abi_old
$(OLD_PROGRAM): $(BUILD)/tests/runtime/test_abi_old.o $(LIBDEER_SO)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/..' $< -o $@ -L$(BUILD) -ldeer -lcmocka -lm

$(foreach source,$(filter-out %/test_abi_old.c,$(TEST_SOURCES)),$(eval $(call test_program,$(source))))
$(filter-out $(OLD_PROGRAM),$(TESTS)):
	$(call say,LINK)
	$(Q)$(link) $(FAST_LINKER) $(TABLETOP_LIBS) $(SERVE_LIBS) $(CALIB_LIBS) $(SOURCES_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS) -lcmocka $($(@F)_LIBS)

# Intel's tiles, emulated, where the rest needs AVX2.
ifeq ($(MACHINE),x86_64)
EMULATED := $(call objects,tests/runtime/amx_for_avx2.c tests/runtime/tile_emulator.c)
$(EMULATED): ALL_CFLAGS += -ffp-contract=fast -Wno-psabi -mavx2 -mfma -mf16c
$(BUILD)/tests/runtime/amx_for_avx2.o: ALL_CFLAGS += -mamx-tile -mamx-bf16 -mamx-int8
$(BUILD)/tests/test_kernels $(BUILD)/tests/kernels: $(EMULATED)
endif
$(BUILD)/tests/test_cost: LDFLAGS += -Wl,--wrap=linear_run,--wrap=attention_run
$(BUILD)/tests/test_cache $(BUILD)/tests/test_cache_others: LDFLAGS += -Wl,--wrap=demos_read
$(BUILD)/tests/test_calib_library: $(CALIB_PUBLIC)
$(addprefix $(BUILD)/tests/,test_gpu test_gpu_kernels test_gpu_faults): $(EMULATED_MATRICES).o
$(BUILD)/tests/test_run: $(filter-out %/deer_run.o,$(RUN_CLI))
$(BUILD)/tests/test_sources: $(BUILD)/datasets/cli/data_orient.o
$(BUILD)/tests/test_sources: LDFLAGS += -Wl,--wrap=dlopen
test_lerobot_LIBS = $(call pc_libs,$(VIDEO_PC))
$(BUILD)/tests/test_report: $(filter-out %/deer_report.o,$(REPORT_CLI))

# The kernels and their tests alone, without libraries: test_neon.sh cross-compiles them, `make asan` checks each of their accesses.
KERNELS_LIBS = -static
KERNELS := $(call objects,$(wildcard runtime/kernels/isa*.c) $(patsubst %,runtime/%.c,kernels/linear \
             kernels/attention kernels/blas kernels/choice kernels/kernels kernels/reference base/error base/options base/threads/threads))
$(BUILD)/tests/kernels: $(BUILD)/tests/runtime/test_kernels.o $(KERNELS)
	$(call say,LINK)
	$(Q)$(link) $(KERNELS_LIBS) -lm -lpthread

# A fuzz target brings its own main (libFuzzer); `make fuzz` builds it with what that needs.
$(BUILD)/tests/fuzz/fuzz_exits: $(BUILD)/datasets/cli/sim/sim_exits.o
$(BUILD)/tests/fuzz/fuzz_rollouts: $(call objects,$(call sources,reports/answer reports/formats)) $(TOOL)
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(LIBCALIB) $(LIBSERVE) $(LIBDATASETS) $(LIBBUDGETS) $(LIBIMPORT) $(LIBRUNTIME)
	$(call say,LINK)
	$(Q)$(link) -fsanitize=fuzzer $(SERVE_LIBS) $(CALIB_LIBS) $(SOURCES_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)

$(BUILD)/tests/command_helper: $(BUILD)/tests/cli/command_helper.o
$(BUILD)/tests/report_cache: $(BUILD)/tests/reports/report_cache.o
$(HELPERS): $(LIBCALIB) $(LIBDATASETS) $(LIBBUDGETS) $(LIBIMPORT) $(LIBRUNTIME)
	$(call say,LINK)
	$(Q)$(link) $(CALIB_LIBS) $(DATASETS_LIBS) $(RUNTIME_LIBS)

$(BUILD)/bench/stages.o: ALL_CFLAGS += $(call pc_cflags,openblas)
$(BUILD)/bench/stages: $(BUILD)/bench/stages.o $(TOOL) $(LIBBUDGETS) $(LIBRUNTIME)
	$(call say,LINK)
	$(Q)$(link) $(call pc_libs,openblas) $(RUNTIME_LIBS)
$(BUILD)/bench/serve: $(BUILD)/bench/serve.o $(LIBSERVE) $(LIBBUDGETS) $(LIBRUNTIME)
	$(call say,LINK)
	$(Q)$(link) $(RUNTIME_LIBS)

.SECONDARY:
-include $(shell find $(addprefix $(BUILD)/,bench budgets calib datasets reports runtime tests) -name '*.d' 2>/dev/null)

# ---- the one command each: `make test`, `make demo` ----

.PHONY: test demo run-tests check-deps deps

# Built in a second make, so that packages installed by the first are seen by pkg-config.
test: PACKAGES += $(TEST_PACKAGES)
test: check-deps ## install what is missing, build, run every test
	@$(MAKE) --no-print-directory run-tests

demo: check-deps ## record, calibrate and run on the tabletop; build/demo/report.html
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) PAGE=$(if $(filter %/none,$(PAGE_D3)),no,yes) bench/demo.sh

run-tests: all tests
	@BUILD=$(BUILD) tests/run.sh

check-deps: ## say which Debian packages are missing, ask, and install them (YES=1: do not ask)
	@packaging/packages.sh $(PACKAGES)

# ---- checks: what .ci/run runs besides ----

.PHONY: check-style asan tsan clang lean check-aarch64 mutations fuzz fuzzers format

# The sanitizers' own libraries in each program: as shared ones they take twice the time to start and to look for leaks.
ASAN_FLAGS := CFLAGS="-O1 -g1" EXTRA_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -static-libasan -static-libubsan"
# Statistics over code that other tests reach as well, and scripts that run no sanitized program.
NOT_SANITIZED := test_gpu_validation test_gpu_golden test_gpu_programs test_coverage test_published test_neon test_install test_makefile test_packages test_headers \
                 test_contributing test_mpi test_circles test_includes test_without_page test_python
# Policies take most of the time: the tiles have their addresses checked by their own test alone, with the first of these,
# and what is undefined by all others. (Clang fuses no sums across the branches that its own sanitizer puts between them:
# bits of the sets differ there.)
asan: PACKAGES += $(TEST_PACKAGES)
asan: check-deps ## tests (but LEAVE_OUT) under gcc's address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan/tiles $(ASAN_FLAGS) TILES_CFLAGS="-O2 -fno-sanitize=undefined" KERNELS_LIBS=-lcmocka $(BUILD)/asan/tiles/tests/kernels
	@$(BUILD)/asan/tiles/tests/kernels >$(BUILD)/asan/tiles/log 2>&1 || { tail -n 30 $(BUILD)/asan/tiles/log; exit 1; }
	@LSAN_OPTIONS=suppressions=tests/lsan.supp:print_suppressions=0 ASAN_OPTIONS=clear_shadow_mmap_threshold=2097152 SKIP="$(NOT_SANITIZED) $(LEAVE_OUT)" \
	  $(MAKE) --no-print-directory BUILD=$(BUILD)/asan $(ASAN_FLAGS) TILES_CFLAGS="-O2 -fno-sanitize=address" run-tests

tsan: PACKAGES += $(TEST_PACKAGES)
tsan: check-deps ## tests of what runs on threads (but LEAVE_OUT), under the thread sanitizer
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CFLAGS="-O1 -g1" EXTRA_CFLAGS="-fsanitize=thread" \
	  $(addprefix $(BUILD)/tsan/,deer-run deer-sim deer-calib $(addprefix tests/,$(filter-out $(LEAVE_OUT) test_serve,$(THREADED))))
	@TSAN_OPTIONS=die_after_fork=0 BUILD=$(BUILD)/tsan SKIP="$(LEAVE_OUT)" tests/run.sh $(THREADED)
THREADED := test_threads test_jobs test_busy test_session test_reuse test_replay test_deadline test_remote test_serve

# Faults made on purpose (docs/reliability.md).
TORTURE_TOOLS := $(addprefix $(BUILD)/tests/torture/,faults.so hostile damage)
$(BUILD)/tests/torture/faults.so: tests/torture/faults.c $(FLAGS)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -fvisibility=default -shared -fPIC $< -o $@ -ldl
$(BUILD)/tests/torture/hostile $(BUILD)/tests/torture/damage: $(BUILD)/tests/torture/%: tests/torture/%.c $(FLAGS)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $< -o $@ $(DATASETS_LIBS)

.PHONY: torture run-torture
torture: check-deps ## allocations, system calls, disks and files that fail (half an hour; TORTURE=fast: 5)
	@$(MAKE) --no-print-directory run-torture
run-torture: all $(TORTURE_TOOLS)
	@BUILD=$(BUILD) tests/torture/run.sh

clang: PACKAGES += $(CLANG_PACKAGES) $(TEST_PACKAGES)
clang: check-deps ## everything, compiled by clang without a warning
	@$(MAKE) --no-print-directory CI=true BUILD=$(BUILD)/clang CC=clang CFLAGS=-O0 all tests

lean: PACKAGES = $(LEAN_PACKAGES)
lean: check-deps ## the robot's deer-run, without HDF5
	@$(MAKE) --no-print-directory LEAN=1 BUILD=$(BUILD)/lean all

check-aarch64: ## cross-compile the robot's deer-run and run it under QEMU
	@BUILD=$(BUILD) tests/cross/aarch64.sh

mutations: ## show that the tests notice planted mistakes
	@BUILD=$(BUILD) tests/mutations.sh

FUZZERS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS = 60

fuzzers: $(FUZZERS)
fuzz: PACKAGES += $(CLANG_PACKAGES)
fuzz: check-deps ## fuzz every reader of files, FUZZ_SECONDS (60) each; needs clang
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang CFLAGS="-O1 -g1" fuzzers \
	  EXTRA_CFLAGS="-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all"
	@BUILD=$(BUILD)/fuzz tests/fuzz/run.sh $(FUZZ_SECONDS)

SOURCES = $(shell git ls-files -co --exclude-standard '*.c' '*.h')
check-style: PACKAGES += clang-format
check-style: check-deps ## format of sources, licence lines, one version everywhere
	@clang-format --dry-run -Werror $(SOURCES)
	@tests/style.sh

format: ## clang-format every source file
	@clang-format -i $(SOURCES)

# ---- figures and benchmarks ----

.PHONY: figure types bench bench-tools bench-coverage bench-import

figure: PACKAGES += $(FIGURE_PACKAGES)
figure: check-deps all ## success against GFLOPs: docs/curve.svg (about 15 minutes)
	@BUILD=$(BUILD) bench/curve.sh

types: all ## success with bf16 and q8 weights: docs/types.csv (about 10 minutes)
	@BUILD=$(BUILD) bench/types.sh

bench: all $(BUILD)/bench/stages ## a step at 3B size beside PyTorch and the machine's limits: build/bench.json
	@BUILD=$(BUILD) bench/models.sh
	@BUILD=$(BUILD) /usr/bin/python3 bench/compare.py $(if $(DEVICE),--device $(DEVICE))

bench-tools: all ## latency and memory per exit, speed of recording and of the solvers
	@BUILD=$(BUILD) bench/bench.sh

bench-coverage: all ## how often promises break, 300 draws a row (long)
	$(BUILD)/deer-calib bench --what coverage

bench-import: all ## speed of importing a model against cp (2 minutes, 9 GB of disk)
	@BUILD=$(BUILD) bench/import_speed.sh

# ---- installing ----

.PHONY: install uninstall dist deb clean help

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR    ?= $(PREFIX)/share
STRIP      ?= 1
PLACES = BUILD='$(BUILD)' DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' BINDIR='$(BINDIR)' LIBDIR='$(LIBDIR)' \
         INCLUDEDIR='$(INCLUDEDIR)' DATADIR='$(DATADIR)' VERSION='$(VERSION)' SONAME='$(SONAME)' \
         PROGRAMS='$(notdir $(PROGRAMS))' LIBRARIES='$(notdir $(SHARED))' REQUIRES='$(RUNTIME_PC)' STRIP='$(STRIP)' \
         CROSS_COMPILE='$(CROSS_COMPILE)' RUN='$(RUN)'

install: all ## programs, libraries, headers, policy, manual pages below PREFIX (default /usr/local)
	@$(PLACES) packaging/install.sh install

uninstall: ## remove what install put there
	@$(PLACES) packaging/install.sh uninstall

deb: PACKAGES += debhelper lintian
deb: check-deps ## Debian packages of programs, libraries and Python: build/deb
	@BUILD=$(BUILD) VERSION=$(VERSION) packaging/deb.sh

clean: ## remove everything built
	rm -rf $(BUILD)

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile
