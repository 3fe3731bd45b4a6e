/* Questions to the system, and its answers: harden.launch.fact asks the same ones while it plans. */
#ifndef HARDEN_FACT_H
#define HARDEN_FACT_H

#include "bytes.h"

/* What the system says, as harden.launch.fact.answer() has it; false for a question that does not exist. */
bool fact_answer(const char *question, const char *path, struct bytes *answer);
/* Whether every question (question, path, answer, …) has the answer that it had. */
bool facts_hold(char *const *facts, size_t count);

#endif
