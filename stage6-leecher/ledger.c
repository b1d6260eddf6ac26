#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"

#define VERSION 1 /* of the tables, kept in PRAGMA user_version */

#define COLUMNS "id, name, state, bytes, newest, since, tries, wait, reported, published, error"

const char *const ledger_state_name[LEDGER_STATES] = {
	"seen",
	"pulling",
	"publishing",
	"done",
	"failed",
	"parked",
};

struct ledger {
	sqlite3 *db;
	sqlite3_stmt *find, *put, *remove, *count, *next, *expects;
	char error[256]; /* the words for the last failure: SQLite's own go with its next call */
};

static const char schema[] = "CREATE TABLE item ("
			     " id INTEGER PRIMARY KEY AUTOINCREMENT,"
			     " name BLOB NOT NULL UNIQUE,"
			     " state INTEGER NOT NULL,"
			     " bytes INTEGER NOT NULL,"
			     " newest TEXT NOT NULL,"
			     " since INTEGER NOT NULL,"
			     " tries INTEGER NOT NULL,"
			     " wait INTEGER NOT NULL,"
			     " reported INTEGER NOT NULL,"
			     " published BLOB NOT NULL,"
			     " error TEXT NOT NULL);"
			     "PRAGMA user_version = 1;";

static int
version_of(sqlite3 *db)
{
	sqlite3_stmt *statement;
	int version = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int(statement, 0);
	return sqlite3_finalize(statement) == SQLITE_OK ? version : -1;
}

/* SQLite's own look at the file. */
static bool
is_sound(sqlite3 *db)
{
	sqlite3_stmt *statement;
	bool sound = true;
	int result;

	/* what cannot be asked now (locked, full) is another trouble, which the next call will meet */
	if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL) != SQLITE_OK)
		return true;
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		sound = strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
	else
		sound = result != SQLITE_CORRUPT && result != SQLITE_NOTADB;
	(void)sqlite3_finalize(statement);
	return sound;
}

static bool
prepare_all(struct ledger *ledger)
{
	const struct {
		sqlite3_stmt **statement;
		const char *text;
	} all[] = {
		{ &ledger->find, "SELECT " COLUMNS " FROM item WHERE name = ?1" },
		{ &ledger->put, "INSERT OR REPLACE INTO item (" COLUMNS ")"
				" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)" },
		{ &ledger->remove, "DELETE FROM item WHERE name = ?1" },
		{ &ledger->count, "SELECT state, count(*) FROM item GROUP BY state" },
		{ &ledger->next, "SELECT " COLUMNS " FROM item WHERE id > ?1 ORDER BY id LIMIT 1" },
		{ &ledger->expects,
		    "SELECT 1 FROM item WHERE id = ?1 AND (state <> ?2 OR reported = 0)" },
	};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (sqlite3_prepare_v3(ledger->db, all[i].text, -1, SQLITE_PREPARE_PERSISTENT,
			all[i].statement, NULL) != SQLITE_OK)
			return false;
	return true;
}

/* Returns NULL when it is fit for use, or what is wrong. */
static const char *
check(struct ledger *ledger, const char *path, bool readonly, char *text, size_t size)
{
	int version = version_of(ledger->db), error;
	bool sound = true;

	if (version > VERSION) {
		(void)snprintf(text, size,
		    "%s is of version %d, and this leecher knows up to %d: use "
		    "a newer leecher",
		    path, version, VERSION);
		return text;
	}
	if (version < 0)
		goto damaged;
	sound = is_sound(ledger->db);
	if (!sound)
		goto damaged;
	if (version == 0 && readonly) {
		(void)snprintf(text, size, "%s is empty", path);
		return text;
	}
	/*
	 * EXTRA: an entry that was put survives a power cut. It is put for good when the journal is
	 * removed, and FULL does not wait until that is on disk (sqlite.org/pragma.html). SQLite
	 * knows it since 3.12, and sqlite3_prepare_v3 only since 3.20.
	 */
	if (!readonly &&
	    sqlite3_exec(ledger->db, "PRAGMA synchronous = EXTRA", NULL, NULL, NULL) != SQLITE_OK)
		goto damaged;
	if (version == 0) {
		if (sqlite3_exec(ledger->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
		    sqlite3_exec(ledger->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
		    sqlite3_exec(ledger->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
			goto damaged;
	}
	if (prepare_all(ledger))
		return NULL;
damaged:
	error = sqlite3_errcode(ledger->db);
	if (error != SQLITE_CORRUPT && error != SQLITE_NOTADB && sound) {
		(void)snprintf(text, size, "%s: %s", path, sqlite3_errmsg(ledger->db));
		return text;
	}
	(void)snprintf(text, size,
	    "%s is damaged: move it away; what is under [destination] to already will be compared, "
	    "not pulled again",
	    path);
	return text;
}

struct ledger *
ledger_open(const char *path, bool readonly, char *why, size_t size)
{
	struct ledger *ledger = calloc(1, sizeof *ledger);
	/* Also who only reads may have to roll back what a crash has interrupted */
	int flags = SQLITE_OPEN_READWRITE | (readonly ? 0 : SQLITE_OPEN_CREATE);
	char text[PATH_MAX + 300];
	const char *wrong;

	if (ledger == NULL) {
		(void)snprintf(why, size, "open %s: no memory", path);
		return NULL;
	}
	if (sqlite3_open_v2(path, &ledger->db, flags, NULL) != SQLITE_OK) {
		(void)snprintf(why, size, "open %s: %s", path, sqlite3_errmsg(ledger->db));
		ledger_close(ledger);
		return NULL;
	}
	(void)sqlite3_busy_timeout(ledger->db, 5000); /* ms; 'list' may be reading */
	wrong = check(ledger, path, readonly, text, sizeof text);
	if (wrong == NULL)
		return ledger;
	(void)snprintf(why, size, "%s", wrong);
	ledger_close(ledger);
	return NULL;
}

void
ledger_close(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	(void)sqlite3_finalize(ledger->find); /* NULL is fine for all of these */
	(void)sqlite3_finalize(ledger->put);
	(void)sqlite3_finalize(ledger->remove);
	(void)sqlite3_finalize(ledger->count);
	(void)sqlite3_finalize(ledger->next);
	(void)sqlite3_finalize(ledger->expects);
	(void)sqlite3_close(ledger->db);
	free(ledger);
}

const char *
ledger_error(struct ledger *ledger)
{
	return ledger->error;
}

/* Keeps the words for what has just failed. Returns -1. */
static int
failed(struct ledger *ledger)
{
	(void)snprintf(ledger->error, sizeof ledger->error, "%s", sqlite3_errmsg(ledger->db));
	return -1;
}

static void
bind_bytes(sqlite3_stmt *statement, int column, const char *bytes)
{
	/* a BLOB: names are bytes, and need not be UTF-8 as TEXT must */
	(void)sqlite3_bind_blob(statement, column, bytes, (int)strlen(bytes), SQLITE_STATIC);
}

static void
copy_column(sqlite3_stmt *statement, int column, char *out, size_t size)
{
	int len = sqlite3_column_bytes(statement, column);
	const void *bytes = sqlite3_column_blob(statement, column);

	if ((size_t)len >= size)
		len = (int)size - 1;
	if (len > 0)
		memcpy(out, bytes, (size_t)len);
	out[len] = '\0';
}

static void
read_entry(sqlite3_stmt *row, struct entry *entry)
{
	int state = sqlite3_column_int(row, 2);

	*entry = (struct entry){
		.id = sqlite3_column_int64(row, 0),
		.state =
		    state >= 0 && state < LEDGER_STATES ? (enum ledger_state)state : LEDGER_SEEN,
		.bytes = sqlite3_column_int64(row, 3),
		.since = sqlite3_column_int64(row, 5),
		.tries = sqlite3_column_int(row, 6),
		.wait = sqlite3_column_int(row, 7),
		.reported = sqlite3_column_int(row, 8) != 0,
	};
	copy_column(row, 1, entry->name, sizeof entry->name);
	copy_column(row, 4, entry->newest, sizeof entry->newest);
	copy_column(row, 9, entry->published, sizeof entry->published);
	copy_column(row, 10, entry->error, sizeof entry->error);
}

int
ledger_find(struct ledger *ledger, const char *name, struct entry *entry)
{
	int result;

	bind_bytes(ledger->find, 1, name);
	result = sqlite3_step(ledger->find);
	if (result == SQLITE_ROW) {
		read_entry(ledger->find, entry);
	} else {
		*entry = (struct entry){ .state = LEDGER_SEEN, .bytes = -1 };
		(void)snprintf(entry->name, sizeof entry->name, "%s", name);
	}
	(void)sqlite3_reset(ledger->find);
	return result == SQLITE_ROW ? 1 : result == SQLITE_DONE ? 0 : failed(ledger);
}

int
ledger_put(struct ledger *ledger, struct entry *entry)
{
	sqlite3_stmt *put = ledger->put;
	int result;

	if (entry->id != 0)
		(void)sqlite3_bind_int64(put, 1, entry->id);
	else
		(void)sqlite3_bind_null(put, 1); /* SQLite chooses one */
	bind_bytes(put, 2, entry->name);
	(void)sqlite3_bind_int(put, 3, (int)entry->state);
	(void)sqlite3_bind_int64(put, 4, entry->bytes);
	(void)sqlite3_bind_text(put, 5, entry->newest, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(put, 6, entry->since);
	(void)sqlite3_bind_int(put, 7, entry->tries);
	(void)sqlite3_bind_int(put, 8, entry->wait);
	(void)sqlite3_bind_int(put, 9, entry->reported);
	bind_bytes(put, 10, entry->published);
	(void)sqlite3_bind_text(put, 11, entry->error, -1, SQLITE_STATIC);
	result = sqlite3_step(put);
	(void)sqlite3_reset(put);
	(void)sqlite3_clear_bindings(put);
	if (result != SQLITE_DONE)
		return failed(ledger);
	if (entry->id == 0)
		entry->id = sqlite3_last_insert_rowid(ledger->db);
	return 0;
}

int
ledger_begin(struct ledger *ledger)
{
	if (sqlite3_exec(ledger->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return failed(ledger);
}

int
ledger_commit(struct ledger *ledger)
{
	if (sqlite3_exec(ledger->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	(void)failed(ledger);
	ledger_roll_back(ledger);
	return -1;
}

void
ledger_roll_back(struct ledger *ledger)
{
	/* After some errors SQLite has done so itself (sqlite.org/lang_transaction.html) */
	(void)sqlite3_exec(ledger->db, "ROLLBACK", NULL, NULL, NULL);
}

int
ledger_remove(struct ledger *ledger, const char *name)
{
	int result;

	bind_bytes(ledger->remove, 1, name);
	result = sqlite3_step(ledger->remove);
	(void)sqlite3_reset(ledger->remove);
	return result == SQLITE_DONE ? 0 : failed(ledger);
}

int
ledger_each(struct ledger *ledger, void (*each)(void *context, struct entry *entry), void *context)
{
	struct entry entry = { .id = 0 };
	int result;

	/* One query for each, so that no query is open while the callback writes */
	for (;;) {
		(void)sqlite3_bind_int64(ledger->next, 1, entry.id);
		result = sqlite3_step(ledger->next);
		if (result == SQLITE_ROW)
			read_entry(ledger->next, &entry);
		(void)sqlite3_reset(ledger->next);
		if (result != SQLITE_ROW)
			return result == SQLITE_DONE ? 0 : failed(ledger);

		struct entry copy = entry;

		each(context, &copy);
	}
}

int
ledger_expects(struct ledger *ledger, int64_t id)
{
	int result;

	(void)sqlite3_bind_int64(ledger->expects, 1, id);
	(void)sqlite3_bind_int(ledger->expects, 2, LEDGER_DONE);
	result = sqlite3_step(ledger->expects);
	(void)sqlite3_reset(ledger->expects);
	return result == SQLITE_ROW ? 1 : result == SQLITE_DONE ? 0 : failed(ledger);
}

int
ledger_count(struct ledger *ledger, int64_t count[LEDGER_STATES])
{
	int result;

	memset(count, 0, LEDGER_STATES * sizeof *count);
	while ((result = sqlite3_step(ledger->count)) == SQLITE_ROW) {
		int state = sqlite3_column_int(ledger->count, 0);

		if (state >= 0 && state < LEDGER_STATES)
			count[state] = sqlite3_column_int64(ledger->count, 1);
	}
	(void)sqlite3_reset(ledger->count);
	return result == SQLITE_DONE ? 0 : failed(ledger);
}
