# ciuic
#   make           build/ciuic, build/check-kernels, build/libciuic.a
#   make report    measures this machine and leaves build/report/index.html
#   make gate      errors, bytes, simulated counters and speed-ups against ci/gate*.json
#   make test      every check; SANITIZE=1: the same under AddressSanitizer and UndefinedBehaviorSanitizer
#   make trial     what the harness finds where the answer is known: false alarms, power, planted faults (ci/trial.sh)
#   make lint      formatting, warnings of gcc and clang, direction of includes, shell scripts
#   make install   PREFIX=/usr/local, DESTDIR
#   make clean
# Each of them first installs what is missing (ci/setup.sh). Variables: BUILD, CC, CXX, SANITIZE=1.

BUILD ?= build
PREFIX ?= /usr/local
goals := $(or $(MAKECMDGOALS),all)

ifeq ($(filter-out clean,$(goals)),)

.PHONY: clean
clean:
	rm -rf $(BUILD)

else ifndef PREPARED

# First pass. Nothing below may run a compiler: this machine may not have one yet. Goals one after the other, each in
# parallel by itself.
.PHONY: $(goals) prepare
$(goals): prepare
	@:
prepare:
	@CC='$(CC)' CXX='$(CXX)' sh ci/setup.sh $(firstword $(filter test,$(goals)))
	+@for goal in $(goals); do \
	    $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$$(nproc)) PREPARED=1 "$$goal" || exit; done

else

OPTIMIZE := -O2
# Of kernels, lines alone for the debugger: following every variable through them took a third of their compilation.
KERNEL_OPTIMIZE := -O3 -g1
ifdef SANITIZE
override BUILD := $(BUILD)/sanitize
OPTIMIZE := -O1
KERNEL_OPTIMIZE := -O1 -g1
SANITIZER := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
ifeq ($(origin CXX),default)
# clang's OpenMP and sanitizers need clang's own linker driver.
CXX := $(if $(findstring clang,$(CC)),$(subst clang,clang++,$(CC)),g++)
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow
COMMON := $(OPTIMIZE) -g -fopenmp -I. -D_GNU_SOURCE $(WARNINGS) $(SANITIZER)
CFLAGS := -std=c11 -Wstrict-prototypes -Wmissing-prototypes $(COMMON)
CXXFLAGS := -std=c++17 $(COMMON)
LDLIBS := -lcjson -lopenblas -lmd -lm -lpthread -ldl

# Peers, compared with where they are there. ciuic loads oneDNN (2: its matmul descriptors) when asked for it and links
# OpenBLAS; check-kernels links what there is.
has = $(shell echo 'int main(void) { return sizeof $(2) == 0; }' | \
    $(CC) -include $(1) -x c - -o /dev/null $(3) 2>/dev/null && echo $(4))
DNNL := $(call has,dnnl.h,(dnnl_matmul_desc_t),-ldnnl,-DHAVE_DNNL)
CBLAS := $(call has,cblas.h,(blasint),-lopenblas,-DHAVE_CBLAS)
PEER_LDLIBS := $(if $(DNNL),-ldnnl) $(if $(CBLAS),-lopenblas)

# The folders of instruction sets that the compiler's machine does not have are left out.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
ELSEWHERE := $(if $(filter x86_64,$(MACHINE)),,avx2 avx512 amx) $(if $(filter aarch64,$(MACHINE)),,neon)
KERNEL_SOURCES := $(filter-out kernels/tests/% $(ELSEWHERE:%=kernels/%/%),$(wildcard kernels/*.c kernels/*/*.c))
OPTIMIZER_SOURCES := $(filter-out optimizer/tests/%,$(wildcard optimizer/*.c optimizer/*/*.c))
HARNESS_SOURCES := $(filter-out harness/tests/% harness/trials/% harness/main.c,$(wildcard harness/*.c harness/*/*.c harness/*/*.cc))
LIBRARY_SOURCES := $(KERNEL_SOURCES) $(OPTIMIZER_SOURCES)
PROGRAM_SOURCES := harness/main.c $(HARNESS_SOURCES)
KERNEL_TESTS := $(wildcard kernels/tests/*.c)
# Compiled once more for check-kernels: with the tile instructions modelled in C (kernels/amx/tile.h), and with AVX-512's
# form of an instruction of AVX-VNNI.
MODELLED := $(if $(filter amx,$(ELSEWHERE)),,$(addprefix modelled/kernels/,avx2/matmul_q8_vnni.c \
    $(addprefix amx/,init.c matmul_bf16.c matmul_q8.c)))
OPTIMIZER_TESTS := $(wildcard optimizer/tests/*.c)
HARNESS_TESTS := $(wildcard harness/tests/*.c) $(addprefix optimizer/tests/,changed_checkpoint.c quantized_folder.c runner.c temporary_folder.c)
# A ciuic that cheats, which the tests of audit catch.
CHEATS := $(wildcard harness/tests/planted/*.c)
FAKE_LIKWID := $(BUILD)/fake-likwid/liblikwid.so.5.2
# Trials of measurement, and ciuic with something planted in front of its own functions (ld --wrap).
PLANTED := harness/trials/slow_workload.c harness/trials/planted_fault.c
TRIAL_SOURCES := $(filter-out $(PLANTED),$(wildcard harness/trials/*.c))
# check-kernels once more, for aarch64: elsewhere an emulator proves the neon rung. Nothing of it is sanitized.
CROSS_CC := aarch64-linux-gnu-gcc
CROSS_SOURCES := $(wildcard kernels/*.c kernels/c/*.c kernels/neon/*.c kernels/tests/*.c)
CROSS_CHECK := $(if $(filter neon,$(ELSEWHERE)),$(if $(SANITIZER),,$(if \
    $(shell command -v $(CROSS_CC) >/dev/null && command -v qemu-aarch64),$(BUILD)/aarch64/check-kernels)))
SOURCES := $(sort $(LIBRARY_SOURCES) $(PROGRAM_SOURCES) $(KERNEL_TESTS) $(OPTIMIZER_TESTS) $(HARNESS_TESTS) $(CHEATS) \
    $(TRIAL_SOURCES) $(PLANTED))
objects = $(patsubst %,$(BUILD)/obj/%.o,$(1))

LIBRARY := $(BUILD)/libciuic.a
PROGRAMS := $(BUILD)/ciuic $(BUILD)/check-kernels
TESTS := $(BUILD)/test-optimizer $(BUILD)/test-harness
TRIALS := $(addprefix $(BUILD)/trial/,trial ciuic-slow ciuic-faulty)

.PHONY: all report gate test trial lint install always
.DELETE_ON_ERROR:
all: $(LIBRARY) $(PROGRAMS)

# One folder per instruction set: only its files are compiled for it, so that nothing else can run into SIGILL.
AVX2 := -mavx2 -mfma -mf16c
AVX512 := $(AVX2) -mavx512f -mavx512bw -mavx512dq -mavx512vl
$(BUILD)/obj/kernels/c/%: ISA_FLAGS := $(KERNEL_OPTIMIZE) -ffp-contract=off
$(BUILD)/obj/kernels/avx2/%: ISA_FLAGS := $(KERNEL_OPTIMIZE) $(AVX2)
$(BUILD)/obj/kernels/avx512/%: ISA_FLAGS := $(KERNEL_OPTIMIZE) $(AVX512)
$(BUILD)/obj/kernels/amx/%: ISA_FLAGS := $(KERNEL_OPTIMIZE) $(AVX512) -mavx512bf16 -mamx-tile -mamx-int8 -mamx-bf16
$(BUILD)/obj/modelled/kernels/amx/%: ISA_FLAGS := $(KERNEL_OPTIMIZE) $(AVX512) -DCIUIC_TILES_MODELLED
$(BUILD)/obj/modelled/kernels/avx2/%: ISA_FLAGS := $(KERNEL_OPTIMIZE) $(AVX2) -DCIUIC_VNNI_EVEX
# NEON itself is part of aarch64; what came later is compiled for in files that are named after it.
NEON_DOTPROD := -march=armv8.2-a+dotprod
NEON_I8MM := $(NEON_DOTPROD)+i8mm
$(foreach at,obj obj/aarch64,$(BUILD)/$(at)/kernels/neon/%): ISA_FLAGS := $(KERNEL_OPTIMIZE)
$(foreach at,obj obj/aarch64,$(BUILD)/$(at)/kernels/neon/%_dotprod.c.o): ISA_FLAGS := $(KERNEL_OPTIMIZE) $(NEON_DOTPROD)
$(foreach at,obj obj/aarch64,$(BUILD)/$(at)/kernels/neon/%_i8mm.c.o): ISA_FLAGS := $(KERNEL_OPTIMIZE) $(NEON_I8MM)
$(BUILD)/obj/aarch64/kernels/c/%: ISA_FLAGS := $(KERNEL_OPTIMIZE) -ffp-contract=off

# Loops over weights that are worth vectors; the comparisons in them raise no flags that anyone reads.
$(BUILD)/obj/optimizer/quantize/%: ISA_FLAGS := $(KERNEL_OPTIMIZE) -fno-trapping-math

# What a result records about the program that made it. The revision changes more often than the flags: it has its own
# stamp, so that a commit recompiles one file.
REVISION := $(shell git describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)
$(BUILD)/obj/harness/version.c.o: ISA_FLAGS = '-DCIUIC_GIT="$(REVISION)"' '-DCIUIC_FLAGS="$(CFLAGS)"'
$(BUILD)/obj/harness/version.c.o: $(BUILD)/obj/revision
$(BUILD)/obj/harness/worker/onednn.c.o $(BUILD)/obj/kernels/tests/peers.c.o: ISA_FLAGS := $(DNNL) $(CBLAS)

# A stamp is rewritten when its words have changed, and what depends on it is then made again.
$(BUILD)/obj/revision: WORDS = $(REVISION)
$(BUILD)/obj/flags: WORDS = $(CC) $(CFLAGS) $(KERNEL_OPTIMIZE) $(CXX) $(CXXFLAGS) $(AVX2) $(DNNL) $(CBLAS)
$(BUILD)/obj/sources: WORDS = $(SOURCES) $(CROSS_SOURCES) $(LDLIBS)
$(BUILD)/obj/revision $(BUILD)/obj/flags $(BUILD)/obj/sources: always
	@mkdir -p $(@D)
	@printf '%s\n' '$(WORDS)' | cmp -s - $@ || printf '%s\n' '$(WORDS)' > $@

$(BUILD)/obj/%.c.o: %.c $(BUILD)/obj/flags
	@mkdir -p $(@D)
	@echo '  CC   $<'
	@$(CC) $(CFLAGS) $(ISA_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.cc.o: %.cc $(BUILD)/obj/flags
	@mkdir -p $(@D)
	@echo '  CXX  $<'
	@$(CXX) $(CXXFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/modelled/%.c.o: %.c $(BUILD)/obj/flags
	@mkdir -p $(@D)
	@echo '  CC   $< (modelled)'
	@$(CC) $(CFLAGS) $(ISA_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/aarch64/%.c.o: %.c $(BUILD)/obj/flags
	@mkdir -p $(@D)
	@echo '  CC   $< (aarch64)'
	@$(CROSS_CC) $(CFLAGS) $(ISA_FLAGS) -MMD -MP -c -o $@ $<

# Left behind, although only one of the planted programs names each.
.SECONDARY: $(call objects,$(PLANTED))

-include $(patsubst %,$(BUILD)/obj/%.d,$(SOURCES) $(MODELLED) $(CROSS_SOURCES:%=aarch64/%))

# The page's template, the plots' scripts and the schema are carried inside the program.
$(BUILD)/obj/harness/report/embedded.c.o: $(wildcard reports/*.in reports/*.json reports/*.gnuplot)

# Linking: everything but the stamp that says when the list of objects has changed.
inputs = $(filter-out %/obj/sources,$^)

$(LIBRARY): $(call objects,$(LIBRARY_SOURCES)) $(BUILD)/obj/sources
	@rm -f $@
	@ar rcs $@ $(inputs)

$(BUILD)/ciuic: $(call objects,$(PROGRAM_SOURCES)) $(LIBRARY) $(BUILD)/obj/sources
	@echo '  LD   $@'
	@$(CXX) $(CXXFLAGS) -o $@ $(inputs) -lbenchmark $(LDLIBS)

$(BUILD)/check-kernels: $(call objects,$(KERNEL_TESTS) $(MODELLED)) $(LIBRARY) $(BUILD)/obj/sources
	@echo '  LD   $@'
	@$(CC) $(CFLAGS) -o $@ $(inputs) $(PEER_LDLIBS) -lm

# Static, so that the emulator needs no libraries. A static libgomp makes the linker warn of its dlopen, which nothing here
# gets to: its words are shown when it fails.
$(BUILD)/aarch64/check-kernels: $(call objects,$(CROSS_SOURCES:%=aarch64/%)) $(BUILD)/obj/sources
	@mkdir -p $(@D)
	@echo '  LD   $@'
	@$(CROSS_CC) $(CFLAGS) -static -o $@ $(inputs) -lm 2>$@.log || { cat $@.log >&2; exit 1; }

# Its allocations go through optimizer/tests/injected_failures.c, which can make any one of them fail.
WRAPPED := malloc calloc realloc reallocarray aligned_alloc posix_memalign strdup strndup asprintf free mmap munmap mprotect
$(BUILD)/test-optimizer: $(call objects,$(OPTIMIZER_TESTS)) $(LIBRARY) $(BUILD)/obj/sources
	@echo '  LD   $@'
	@$(CC) $(CFLAGS) $(WRAPPED:%=-Wl,--wrap=%) -o $@ $(inputs) -lcunit $(LDLIBS)

# Its cheats stand before the functions of the same name (harness/tests/planted/cheats.c).
CHEATED := ciuic_prefill ciuic_decode ciuic_session_truncate ciuic_model_load ciuic_optimize workload_create judge_results
$(BUILD)/planted-cheats: $(call objects,$(CHEATS) $(PROGRAM_SOURCES)) $(LIBRARY) $(BUILD)/obj/sources
	@echo '  LD   $@'
	@$(CXX) $(CXXFLAGS) $(CHEATED:%=-Wl,--wrap=%) -o $@ $(inputs) -lbenchmark $(LDLIBS)

# What tests have for a likwid: by the real one's file name, for LD_LIBRARY_PATH.
$(BUILD)/obj/harness/tests/fake_likwid/likwid.c.o: ISA_FLAGS := -fPIC
$(FAKE_LIKWID): $(call objects,harness/tests/fake_likwid/likwid.c)
	@mkdir -p $(@D)
	@echo '  LD   $@'
	@$(CC) $(CFLAGS) -shared -Wl,-soname,$(@F) -o $@ $<

$(BUILD)/test-harness: | $(BUILD)/planted-cheats $(FAKE_LIKWID)
$(BUILD)/test-harness: $(call objects,$(HARNESS_TESTS) $(HARNESS_SOURCES)) $(LIBRARY) $(BUILD)/obj/sources
	@echo '  LD   $@'
	@$(CXX) $(CXXFLAGS) -o $@ $(inputs) -lcunit -lbenchmark $(LDLIBS)

$(BUILD)/trial/trial: $(call objects,$(TRIAL_SOURCES) $(HARNESS_SOURCES)) $(LIBRARY) $(BUILD)/obj/sources
	@mkdir -p $(@D)
	@echo '  LD   $@'
	@$(CXX) $(CXXFLAGS) -o $@ $(inputs) -lbenchmark $(LDLIBS)

$(BUILD)/trial/ciuic-slow: PLANT = $(call objects,harness/trials/slow_workload.c)
$(BUILD)/trial/ciuic-slow: WRAP := ciuic_optimize workload_run
$(BUILD)/trial/ciuic-faulty: PLANT = $(call objects,harness/trials/planted_fault.c)
$(BUILD)/trial/ciuic-faulty: WRAP := ciuic_optimize run_cache_write
$(BUILD)/trial/ciuic-%: $(call objects,$(PLANTED) harness/trials/trial.c $(PROGRAM_SOURCES)) $(LIBRARY) $(BUILD)/obj/sources
	@mkdir -p $(@D)
	@echo '  LD   $@'
	@$(CXX) $(CXXFLAGS) $(WRAP:%=-Wl,--wrap=%) -o $@ $(PLANT) $(filter-out $(call objects,$(PLANTED)),$(inputs)) \
	    -lbenchmark $(LDLIBS)

report: all
	@ci/report.sh $(BUILD)/ciuic $(BUILD)/report

gate: all
	@ci/gate.sh $(BUILD)/ciuic $(BUILD)/gate

test: all $(TESTS) $(CROSS_CHECK)
	@ci/test.sh $(BUILD) $(CROSS_CHECK)

trial: all $(TRIALS) $(BUILD)/planted-cheats
	@TRIAL_BUILD=$(BUILD) ci/trial.sh

lint:
	@CFLAGS='$(CFLAGS)' CXXFLAGS='$(CXXFLAGS)' ci/lint.sh

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include \
	    $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(BUILD)/ciuic $(DESTDIR)$(PREFIX)/bin/
	install -m 644 $(LIBRARY) $(DESTDIR)$(PREFIX)/lib/
	install -m 644 optimizer/ciuic.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 docs/ciuic.1 $(DESTDIR)$(PREFIX)/share/man/man1/

endif
