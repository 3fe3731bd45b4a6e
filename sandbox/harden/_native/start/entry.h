/* A kept plan: harden.launch.cached_plan has the format, harden.launch.plan_cache writes it. */
#ifndef HARDEN_ENTRY_H
#define HARDEN_ENTRY_H

#include "bytes.h"

enum places { PLACES_FDS, PLACES_CGROUP_NAMES, PLACES_FIRST_IDS, PLACES_OWNERS, PLACES_COOKIE, PLACES_LOW, PLACES_HIGH, PLACES_COUNT };

struct entry {
	char *notes;   /* what the user is told */
	char *cgroup;  /* folder in which the run's cgroup is made; "": none */
	char *program; /* harden-exec */
	char *controllers; /* of that cgroup */
	char **facts;
	size_t fact_count;
	size_t *places[PLACES_COUNT]; /* offsets into the plan, of what is one run's own */
	size_t place_count[PLACES_COUNT];
	char *plan;
	size_t plan_size;
};

/* The entry for this command line (`run` and what follows), if there is one that is this user's alone and whole. */
bool entry_find(char *const *arguments, struct entry *entry);

#endif
