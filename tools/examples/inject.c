/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Send COUNT packets of SIZE bytes with nm_inject(), and wait until they are sent.
 *
 *   ./inject netmap:eth3-0/T 1000 60 [02:00:00:00:00:02]
 *
 * On a host ring (netmap:eth3^) they enter the kernel's stack.  SIZE may be longer
 * than a buffer.  Packet n carries n in its bytes 14 to 17.  C99 and C++11.
 */
#define _DEFAULT_SOURCE
#define NETMAP_WITH_LIBS
#include <net/netmap_user.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static uint8_t frame[65536];

/* Are all TX rings of d empty? */
static int all_sent(struct nm_desc *d)
{
	int i;

	for (i = d->first_tx_ring; i <= d->last_tx_ring; i++)
		if (d->nifp->ring_ofs[i] && nm_tx_pending(NETMAP_TXRING(d->nifp, i)))
			return 0;
	return 1;
}

int main(int argc, char **argv)
{
	unsigned long count, sent = 0;
	unsigned int mac[6] = { 255, 255, 255, 255, 255, 255 }, i;
	int size, idle = 0;
	struct pollfd pfd;
	struct nm_desc *d;

	if (argc < 4) {
		fprintf(stderr, "usage: inject NAME COUNT SIZE [MAC]\n");
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	size = atoi(argv[3]);
	if (size < 18 || size > (int)sizeof(frame) || (argc > 4 &&
	    sscanf(argv[4], "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3],
		   &mac[4], &mac[5]) != 6)) {
		fprintf(stderr, "inject: 18 to 65536 bytes, and a MAC as 02:00:00:00:00:02\n");
		return 2;
	}
	for (i = 0; i < 6; i++) {
		frame[i] = (uint8_t)mac[i];
		frame[6 + i] = i ? (uint8_t)i : 2;
	}
	frame[12] = 0x88;	/* experimental EtherType 1 */
	frame[13] = 0xb5;

	d = nm_open(argv[1], NULL, 0, NULL);
	if (!d)
		return 1;
	pfd.fd = d->fd;
	pfd.events = POLLOUT;
	/* All queued, then all sent; a second without progress is the end. */
	while ((sent < count || !all_sent(d)) && idle < 10) {
		uint32_t n = htonl((uint32_t)sent);

		memcpy(frame + 14, &n, sizeof(n));
		if (sent < count && nm_inject(d, frame, (size_t)size)) {
			sent++;
			idle = 0;
			continue;
		}
		if (sent < count ? poll(&pfd, 1, 100) <= 0 : ioctl(d->fd, NIOCTXSYNC) ||
		    usleep(1000))
			idle++;
		if (pfd.revents & POLLERR) {
			fprintf(stderr, "inject: %s: the port reports an error\n", argv[1]);
			break;
		}
	}
	printf("%lu packets queued, %s\n", sent, all_sent(d) ? "all sent" : "not all sent");
	i = sent == count && all_sent(d) ? 0 : 1;
	nm_close(d);
	return (int)i;
}
