/* fact_answers QUESTION PATH …: the answers of the command `harden`, each with a NUL behind it. */
#include "fact.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct bytes answer = { 0 };

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!fact_answer(argv[i], argv[i + 1], &answer))
			return 1;
		fwrite(answer.at, answer.length + 1, 1, stdout);
	}
	free(answer.at);
	return 0;
}
