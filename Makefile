# ciuic. `make report` measures this machine and writes build/report/index.html; `make test` runs every check.
# Both install what is missing first (ci/setup.sh). Variables: BUILD, CC, CXX, SANITIZE=1.

BUILD ?= build
ifdef SANITIZE
BUILD := $(BUILD)/sanitize
SANITIZER := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow
COMMON := -O2 -g -fopenmp -I. -D_GNU_SOURCE $(WARNINGS) $(SANITIZER)
CFLAGS := -std=c11 -Wstrict-prototypes -Wmissing-prototypes $(COMMON)
CXXFLAGS := -std=c++17 $(COMMON)
LDLIBS := -lcjson -lopenblas -llikwid -lmd -lm
TEST_LIBS := -lcunit

# One folder per instruction set; only its own files may use it.
kernels/c/%: ISA_FLAGS := -O3 -ffp-contract=off
kernels/avx2/%: ISA_FLAGS := -O3 -mavx2 -mfma -mf16c
kernels/avx512/%: ISA_FLAGS := -O3 -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl

KERNEL_SOURCES := $(wildcard kernels/*.c kernels/*/*.c)
KERNEL_SOURCES := $(filter-out kernels/tests/%,$(KERNEL_SOURCES))
OPTIMIZER_SOURCES := $(filter-out optimizer/tests/%,$(wildcard optimizer/*.c optimizer/*/*.c))
HARNESS_SOURCES := $(filter-out harness/tests/% harness/main.c,$(wildcard harness/*.c harness/*/*.c))
objects = $(patsubst %,$(BUILD)/obj/%.o,$(1))

.PHONY: all
all: $(BUILD)/libciuic.a $(BUILD)/ciuic $(BUILD)/check-kernels

$(BUILD)/libciuic.a: $(call objects,$(KERNEL_SOURCES) $(OPTIMIZER_SOURCES))
	rm -f $@ && ar rcs $@ $^

$(BUILD)/ciuic: $(call objects,harness/main.c $(HARNESS_SOURCES) harness/measure/gbench_shim.cc) $(BUILD)/libciuic.a
	$(CXX) $(CXXFLAGS) -o $@ $^ -lbenchmark $(LDLIBS) -lpthread

$(BUILD)/check-kernels: $(call objects,$(wildcard kernels/tests/*.c)) $(BUILD)/libciuic.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/test-optimizer: $(call objects,$(wildcard optimizer/tests/*.c)) $(BUILD)/libciuic.a
	$(CC) $(CFLAGS) -o $@ $^ $(TEST_LIBS) $(LDLIBS)

$(BUILD)/test-harness: $(call objects,$(wildcard harness/tests/*.c) optimizer/tests/runner.c $(HARNESS_SOURCES) harness/measure/gbench_shim.cc) $(BUILD)/libciuic.a
	$(CXX) $(CXXFLAGS) -o $@ $^ $(TEST_LIBS) -lbenchmark $(LDLIBS) -lpthread

$(BUILD)/obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(ISA_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.cc.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
