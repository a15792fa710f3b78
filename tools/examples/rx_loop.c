/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Count what arrives on one RX queue, all other queues staying the kernel's.
 *
 *   cc -std=c99 -I../include rx_loop.c -o rx_loop && ./rx_loop netmap:eth3~4 4
 *
 * The loop is the one of Cloudflare's "Single RX queue kernel bypass".  Builds
 * as C99 and as C++11.
 */
#define _DEFAULT_SOURCE
#define NETMAP_WITH_LIBS
#include <net/netmap_user.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "netmap:eth3~4";
	const int queue = argc > 2 ? atoi(argv[2]) : 4;
	unsigned long long packets = 0, bytes = 0, printed = 0;
	struct netmap_ring *ring;
	struct pollfd fds;
	struct nm_desc *d;
	struct sigaction sa;
	unsigned int i, len, first = 0;
	char *buf;
	time_t then;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);

	d = nm_open(name, NULL, 0, 0);
	if (!d)
		return 1;
	if (queue < 0 || (uint32_t)queue >= d->nifp->ni_rx_rings) {
		fprintf(stderr, "%s: no RX queue %d\n", name, queue);
		nm_close(d);
		return 2;
	}
	fds.fd = d->fd;
	fds.events = POLLIN;
	then = time(NULL);
	while (!stop) {
		poll(&fds, 1, 1000);
		ring = NETMAP_RXRING(d->nifp, queue);
		while (!nm_ring_empty(ring)) {
			i   = ring->cur;
			buf = NETMAP_BUF(ring, ring->slot[i].buf_idx);
			len = ring->slot[i].len;
			ring->head = ring->cur = nm_ring_next(ring, i);
			first += (unsigned char)buf[0];
			bytes += len;
			packets++;
		}
		if (time(NULL) != then) {
			then = time(NULL);
			printf("pps: %llu\n", packets - printed);
			fflush(stdout);
			printed = packets;
		}
	}
	printf("%llu packets, %llu bytes (sum of first bytes %u)\n", packets, bytes,
	       first);
	nm_close(d);
	return 0;
}
