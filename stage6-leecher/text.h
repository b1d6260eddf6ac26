/*
 * Text from strangers, made safe to show: on one line, without control of the terminal.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>

/*
 * Copies len bytes to out (of size bytes, at least 1), ends them with NUL. UTF-8 stays; control
 * characters and bytes that are not UTF-8 become \xNN. What does not fit is left away whole.
 * Returns the length of what was written. Four times len + 1 is always enough.
 */
size_t text_escape(const char *text, size_t len, char *out, size_t size);

/*
 * Words for a line-based protocol: like text_escape, but blanks and backslashes become \xNN too,
 * so that words can be parted by blanks and any byte but NUL comes back from text_decode.
 */
size_t text_encode(const char *word, char *out, size_t size);

/* Turns each \xNN of word back into its byte, in place. Returns 0, or -1 with errno EINVAL. */
int text_decode(char *word);

#endif
