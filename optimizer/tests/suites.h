/* suites.h - the suites of test-optimizer, one line each; main.c expands the list twice. */
SUITE(json)
SUITE(atomic_file)
SUITE(reference)
SUITE(variants)
SUITE(float_formats)
SUITE(safetensors)
