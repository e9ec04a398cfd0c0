/* version.h - which program this is: what `ciuic --version` prints and every result records. */
#ifndef CIUIC_VERSION_H
#define CIUIC_VERSION_H

const char *program_version(void);  /* "0.1.0" */
const char *program_git(void);      /* short revision, "-dirty" when files were changed; "unknown" outside git */
const char *program_compiler(void); /* "gcc 12.2.0" */
const char *program_flags(void);    /* what the C files were compiled with, without the paths */

#endif
