/*
 * Lists of words: argument vectors, patterns.
 */
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>

struct words {
	char **word; /* ends with NULL, as execvp wants it; NULL when there is none */
	size_t count;
};

/* All of these end the program when there is no memory: it is about a few hundred bytes. */
void words_add(struct words *words, const char *word);
void words_add_all(struct words *words, const struct words *more);
void words_free(struct words *words);

/*
 * Adds the words of text, parted as a shell parts plain words: by blanks, which quotes ('...',
 * "...") and backslashes keep together. Nothing is expanded, and no shell is run.
 * Returns 0, or -1 with errno EINVAL: a quote is not closed.
 */
int words_split(struct words *words, const char *text);

#endif
