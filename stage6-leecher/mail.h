/*
 * A mail, as sendmail -t reads it.
 */
#ifndef MAIL_H
#define MAIL_H

#include <stddef.h>
#include <stdio.h>

/*
 * Writes the header. The subject may be any text without control characters; what is not ASCII
 * is encoded as RFC 2047 says. The body follows, as UTF-8, with lines of at most 998 bytes.
 */
void mail_header(FILE *out, const char *to, const char *subject);

#endif
