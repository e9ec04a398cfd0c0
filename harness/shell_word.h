/* shell_word.h - a name as one word of a command line that is shown for people to paste into a POSIX shell. */
#ifndef CIUIC_SHELL_WORD_H
#define CIUIC_SHELL_WORD_H

#include <stdbool.h>
#include <stddef.h>

/* Appends `word` to a NUL-terminated text in `size` bytes: as it is where no shell reads anything into it, otherwise between
 * single quotes. What plain_text makes '?' is '?' here, too: such a name is shown, and the command does not find it. False
 * where it does not fit, and `text` is as before: half a word would be another command. */
bool shell_word(char *text, size_t size, const char *word);

#endif
