// SPDX-License-Identifier: GPL-2.0
/*
 * A 32-bit program that tries /dev/netmap, and says what each call returned, a
 * line each.  Without a C library, so that a 64-bit compiler alone can build it:
 * gcc -m32 -nostdlib -static.  File 9 is a registered one, from who starts it.
 */
enum { SYS_EXIT = 1, SYS_WRITE = 4, SYS_OPEN = 5, SYS_IOCTL = 54, SYS_MMAP2 = 192, SYS_POLL = 168 };

static long call(long nr, long a, long b, long c, long d, long e)
{
	long ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "0"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
			 : "memory");
	return ret;
}

static void say(const char *what, long value)
{
	char line[64], digits[16];
	unsigned long left = value < 0 ? -value : value;
	int n = 0, k = 0;

	while (what[n]) {
		line[n] = what[n];
		n++;
	}
	line[n++] = ' ';
	if (value < 0)
		line[n++] = '-';
	do
		digits[k++] = '0' + left % 10;
	while (left /= 10);
	while (k)
		line[n++] = digits[--k];
	line[n++] = '\n';
	call(SYS_WRITE, 1, (long)line, n, 0, 0);
}

void _start(void)
{
	/* large enough for any structure of the interface, and a valid request if it were read */
	static unsigned int room[64];
	static struct { int fd; short events, revents; } p = { 9, 1, 0 };
	static const unsigned int numbers[] = {
		0xc03c6991, 0xc03c6992, 0x6994, 0x6995, 0xc0586997, 0x401069a0, 0xc10069a2,
	};
	static const char *const names[] = {
		"NIOCGINFO", "NIOCREGIF", "NIOCTXSYNC", "NIOCRXSYNC", "NIOCCTRL", "NIOCQADD",
		"NIOCQNEXT",
	};
	long fd = call(SYS_OPEN, (long)"/dev/netmap", 2, 0, 0, 0);

	say("open", fd < 0 ? fd : 0);
	for (int i = 0; i < 7; i++) {
		say(names[i], call(SYS_IOCTL, fd, numbers[i], (long)room, 0, 0));
		say(names[i], call(SYS_IOCTL, 9, numbers[i], (long)room, 0, 0));
	}
	/* PROT_READ, MAP_SHARED */
	say("mmap", call(SYS_MMAP2, 0, 4096, 1, 1, fd));
	say("mmap", call(SYS_MMAP2, 0, 4096, 1, 1, 9));
	say("poll", call(SYS_POLL, (long)&p, 1, 0, 0, 0));
	call(SYS_EXIT, 0, 0, 0, 0, 0);
}
