#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

static void
out_of_memory(void)
{
	fputs("leecher: no memory\n", stderr);
	abort();
}

void
words_add(struct words *words, const char *word)
{
	char **more = realloc(words->word, (words->count + 2) * sizeof *more);

	if (more == NULL)
		out_of_memory();
	words->word = more;

	char *copy = strdup(word);

	if (copy == NULL)
		out_of_memory();
	more[words->count++] = copy;
	more[words->count] = NULL;
}

void
words_add_all(struct words *words, const struct words *more)
{
	for (size_t i = 0; i < more->count; i++)
		words_add(words, more->word[i]);
}

void
words_free(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->word[i]);
	free(words->word);
	*words = (struct words){ 0 };
}

/* Copies one word to out and returns what follows it, or NULL: a quote is not closed. */
static const char *
take_word(const char *text, char *out)
{
	char quote = '\0';

	for (; *text != '\0' && (quote != '\0' || strchr(" \t", *text) == NULL); text++) {
		if (*text == quote)
			quote = '\0';
		else if (quote == '\0' && (*text == '\'' || *text == '"'))
			quote = *text;
		else if (*text == '\\' && quote != '\'' && text[1] != '\0')
			*out++ = *++text;
		else
			*out++ = *text;
	}
	*out = '\0';
	return quote == '\0' ? text : NULL;
}

int
words_split(struct words *words, const char *text)
{
	char *word = malloc(strlen(text) + 1);

	if (word == NULL)
		out_of_memory();
	for (text += strspn(text, " \t"); *text != '\0'; text += strspn(text, " \t")) {
		text = take_word(text, word);
		if (text == NULL) {
			free(word);
			errno = EINVAL;
			return -1;
		}
		words_add(words, word);
	}
	free(word);
	return 0;
}
