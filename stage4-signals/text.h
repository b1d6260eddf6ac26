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

#endif
