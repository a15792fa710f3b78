/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bridge two ports, or a port and its host rings, with libnetmap's calls: buffers
 * are swapped where both ports use the same memory, else packets are copied.
 *
 *   ./port_bridge netmap:eth3 netmap:eth4 [SECONDS]
 *   ./port_bridge netmap:eth3 netmap:eth3^
 *
 * C99 and C++11.
 */
#define _DEFAULT_SOURCE
#include <libnetmap.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* Move up to all packets of an RX ring to a TX ring; how many slots. */
static unsigned int move(struct netmap_ring *rx, struct netmap_ring *tx, int swap)
{
	uint32_t r = rx->head, t = tx->head, n = 0;
	uint32_t space = nm_ring_space(tx), ready = nm_ring_space(rx);

	while (n < space && n < ready) {
		struct netmap_slot *rs = &rx->slot[r], *ts = &tx->slot[t];

		ts->len = rs->len;
		if (swap) {
			uint32_t idx = ts->buf_idx;

			ts->buf_idx = rs->buf_idx;
			rs->buf_idx = idx;
			ts->flags = (uint16_t)(NS_BUF_CHANGED | (rs->flags & NS_MOREFRAG));
			rs->flags |= NS_BUF_CHANGED;
		} else {
			uint32_t room = nm_slot_room(tx, ts);

			/* The other port's buffers may be smaller. */
			if (ts->len > room)
				ts->len = (uint16_t)room;
			memcpy(NETMAP_BUF_OFFSET(tx, ts), NETMAP_BUF_OFFSET(rx, rs),
			       ts->len);
			ts->flags = rs->flags & NS_MOREFRAG;
		}
		r = nm_ring_next(rx, r);
		t = nm_ring_next(tx, t);
		n++;
	}
	rx->head = rx->cur = r;
	tx->head = tx->cur = t;
	return n;
}

/* From all RX rings of one port to the TX rings of the other. */
static unsigned int forward(struct nmport_d *from, struct nmport_d *to)
{
	int i, t = to->first_tx_ring, swap = from->mem == to->mem;
	unsigned int n = 0;

	for (i = from->first_rx_ring; i <= from->last_rx_ring; i++) {
		struct netmap_ring *rx = NETMAP_RXRING(from->nifp, i);

		while (!nm_ring_empty(rx) && t <= to->last_tx_ring) {
			struct netmap_ring *tx = NETMAP_TXRING(to->nifp, t);

			n += move(rx, tx, swap);
			if (nm_ring_empty(tx))	/* no room left in it */
				t++;
		}
	}
	return n;
}

int main(int argc, char **argv)
{
	unsigned long long total[2] = { 0, 0 };
	struct nmport_d *p[2] = { NULL, NULL };
	struct sigaction sa;
	struct pollfd pfd[2];
	time_t end = 0;
	int i, failed = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: port_bridge NAME NAME [SECONDS]\n");
		return 2;
	}
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	for (i = 0; i < 2; i++) {
		p[i] = nmport_open(argv[1 + i]);
		if (!p[i]) {
			nmport_close(p[0]);
			return 1;
		}
		pfd[i].fd = p[i]->fd;
	}
	printf("%s\n", p[0]->mem == p[1]->mem ? "zero copy" : "copying");
	fflush(stdout);
	if (argc > 3)
		end = time(NULL) + atoi(argv[3]);
	while (!stop && !failed && (!end || time(NULL) < end)) {
		/* poll() of a port also pushes what stands in its TX rings. */
		pfd[0].events = pfd[1].events = POLLIN;
		poll(pfd, 2, 100);
		for (i = 0; i < 2; i++) {
			failed |= pfd[i].revents & POLLERR;
			total[i] += forward(p[i], p[1 - i]);
		}
		/* What was forwarded goes now, not at the next arrival. */
		for (i = 0; i < 2; i++)
			if (ioctl(p[i]->fd, NIOCTXSYNC) && errno != EIO)
				failed = 1;
	}
	printf("%llu slots one way, %llu the other\n", total[0], total[1]);
	nmport_close(p[0]);
	nmport_close(p[1]);
	return failed != 0;
}
