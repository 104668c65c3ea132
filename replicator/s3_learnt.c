#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/s3_learnt.h"

struct known {
	struct known *next;
	struct s3_abilities abilities;
	char place[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list */
static struct known *list;

/* In the order of the text. */
#define FIELDS 7
static void
fields_of(struct s3_abilities *a, atomic_int *fields[FIELDS])
{
	fields[0] = &a->md5_etags;
	fields[1] = &a->md5_parts;
	fields[2] = &a->conditions;
	fields[3] = &a->tags;
	fields[4] = &a->content_md5;
	fields[5] = &a->lists_v2;
	fields[6] = &a->encodes;
}

struct s3_abilities *
s3_abilities_of(const char *place, int aws)
{
	size_t room = strlen(place) + 1;
	struct known *k;

	pthread_mutex_lock(&lock);
	for (k = list; k != NULL; k = k->next)
		if (strcmp(k->place, place) == 0)
			break;
	if (k == NULL && (k = calloc(1, sizeof(*k) + room)) != NULL) {
		memcpy(k->place, place, room);
		if (aws) {
			atomic_store(&k->abilities.conditions, S3_YES);
			atomic_store(&k->abilities.tags, S3_YES);
			atomic_store(&k->abilities.lists_v2, S3_YES);
			atomic_store(&k->abilities.encodes, S3_YES);
		}
		k->next = list;
		list = k;
	}
	pthread_mutex_unlock(&lock);
	return k != NULL ? &k->abilities : NULL;
}

void
s3_abilities_forget(struct s3_abilities *a)
{
	atomic_int *fields[FIELDS];
	size_t i;

	fields_of(a, fields);
	for (i = 0; i < FIELDS; i++)
		atomic_store(fields[i], S3_UNKNOWN);
}

void
s3_abilities_write(
    struct s3_abilities *a, const char *place, char *text, size_t room)
{
	atomic_int *fields[FIELDS];
	size_t i, len;

	fields_of(a, fields);
	snprintf(text, room, "%s", place);
	for (i = 0; i < FIELDS; i++) {
		len = strlen(text);
		snprintf(text + len, room - len, " %d", atomic_load(fields[i]));
	}
}

void
s3_abilities_recall(const char *text)
{
	const char *at = strchr(text, ' ');
	struct s3_abilities *a;
	atomic_int *fields[FIELDS];
	char *place;
	size_t i;

	if (at == NULL || strlen(at) != (size_t)2 * FIELDS)
		return;
	for (i = 0; i < FIELDS; i++)
		if (at[2 * i] != ' ' || at[2 * i + 1] < '0' + S3_UNKNOWN ||
		    at[2 * i + 1] > '0' + S3_YES)
			return;
	if ((place = strndup(text, (size_t)(at - text))) == NULL)
		return;
	if ((a = s3_abilities_of(place, 0)) != NULL) {
		fields_of(a, fields);
		for (i = 0; i < FIELDS; i++)
			atomic_store(fields[i], at[2 * i + 1] - '0');
	}
	free(place);
}
