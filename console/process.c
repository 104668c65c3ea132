#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/resource.h>

#include "console/process.h"

static void
read_memory(struct process_figures *p)
{
	unsigned long virtual_pages, resident_pages;
	long page_bytes = sysconf(_SC_PAGESIZE);
	FILE *f;

	if ((f = fopen("/proc/self/statm", "re")) == NULL)
		return;
	if (page_bytes > 0 &&
	    fscanf(f, "%lu %lu", &virtual_pages, &resident_pages) == 2) {
		p->virtual_bytes = virtual_pages * (unsigned long)page_bytes;
		p->resident_bytes = resident_pages * (unsigned long)page_bytes;
	}
	(void)fclose(f);
}

/* Field 22 of proc(5)'s stat is the start in ticks since the system's. */
static void
read_start(struct process_figures *p)
{
	long ticks_per_second = sysconf(_SC_CLK_TCK);
	unsigned long long ticks;
	struct timespec now, up;
	char line[1024], *at;
	FILE *f;
	int ok;

	if ((f = fopen("/proc/self/stat", "re")) == NULL)
		return;
	ok = fgets(line, sizeof(line), f) != NULL;
	(void)fclose(f);
	if (!ok || ticks_per_second <= 0 || (at = strrchr(line, ')')) == NULL ||
	    sscanf(at + 2,
		"%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
		"%*d %*d %*d %*d %llu",
		&ticks) != 1)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)clock_gettime(CLOCK_BOOTTIME, &up);
	p->start_seconds = (double)(now.tv_sec - up.tv_sec) +
	    (double)ticks / (double)ticks_per_second;
}

static void
count_descriptors(struct process_figures *p)
{
	struct rlimit limit;
	DIR *dir;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		p->max_fds = limit.rlim_cur;
	if ((dir = opendir("/proc/self/fd")) == NULL)
		return;
	while (readdir(dir) != NULL)
		p->open_fds++;
	(void)closedir(dir);
	/* Its two dots, and its own. */
	p->open_fds -= p->open_fds >= 3 ? 3 : p->open_fds;
}

void
process_figures(struct process_figures *p)
{
	struct timespec cpu;

	*p = (struct process_figures){ 0 };
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
		p->cpu_seconds = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
	read_memory(p);
	read_start(p);
	count_descriptors(p);
}
