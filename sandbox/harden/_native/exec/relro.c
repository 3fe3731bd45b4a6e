/* What the start relocated becomes read-only: the loader does that for programs that have one, and this has none. */
#include "relro.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

extern const char __ehdr_start[] __attribute__((visibility("hidden"))); /* by the linker: where the file begins */

bool protect_relocated(void)
{
	const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR), *relocated = NULL, *first = NULL;
	uintptr_t page = getauxval(AT_PAGESZ), bias, begin, end;

	for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++) {
		if (headers[i].p_type == PT_LOAD && !first)
			first = &headers[i];
		if (headers[i].p_type == PT_GNU_RELRO)
			relocated = &headers[i];
	}
	if (!first || !relocated || !page)
		return false;
	bias = (uintptr_t)__ehdr_start - first->p_vaddr;
	begin = (bias + relocated->p_vaddr) & -page;
	end = (bias + relocated->p_vaddr + relocated->p_memsz) & -page;
	return begin == end || mprotect((void *)begin, end - begin, PROT_READ) == 0;
}
