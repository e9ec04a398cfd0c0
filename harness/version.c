/* version.c - the Makefile hands over what only it knows: CIUIC_GIT and CIUIC_FLAGS. */
#include "harness/version.h"

#ifndef CIUIC_GIT
#define CIUIC_GIT "unknown"
#endif
#ifndef CIUIC_FLAGS
#define CIUIC_FLAGS "unknown"
#endif

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *program_version(void)
{
    return "0.1.0";
}

const char *program_git(void)
{
    return CIUIC_GIT;
}

const char *program_compiler(void)
{
#if defined(__clang__)
    return "clang " TEXT(__clang_major__) "." TEXT(__clang_minor__) "." TEXT(__clang_patchlevel__);
#elif defined(__GNUC__)
    return "gcc " TEXT(__GNUC__) "." TEXT(__GNUC_MINOR__) "." TEXT(__GNUC_PATCHLEVEL__);
#else
    return "unknown compiler";
#endif
}

const char *program_flags(void)
{
    return CIUIC_FLAGS;
}
