/* compat: getpid(2) by the 32-bit system call entry, which a 64-bit program can use too. Ends with 0 where the kernel
 * has that entry, by a signal where it does not. */
int main(void)
{
	long pid;

	__asm__ volatile("int $0x80" : "=a"(pid) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	return pid > 0 ? 0 : 1;
}
