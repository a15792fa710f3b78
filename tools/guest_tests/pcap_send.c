// SPDX-License-Identifier: GPL-2.0
/*
 * Send COUNT frames of SIZE bytes by libpcap, with nothing in it that knows of netmap:
 *
 *   pcap_send netmap:eth3-0/T 1000 60
 *
 * Frame n carries n in its bytes 14 to 17.  pcap_inject() only queues on such a port;
 * poll() on the selectable descriptor, for room or at the end, is what sends.
 */
#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	/* to everybody, from a local address, experimental EtherType 1 */
	unsigned char frame[1514] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
	unsigned int count, size, sent = 0, full = 0, idle = 0;
	char why[PCAP_ERRBUF_SIZE] = "";
	struct pollfd ready;
	pcap_t *port;

	if (argc != 4) {
		fprintf(stderr, "usage: pcap_send NAME COUNT SIZE\n");
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	size = strtoul(argv[3], NULL, 10);
	if (size < 18 || size > sizeof(frame)) {
		fprintf(stderr, "pcap_send: 18 to %zu bytes\n", sizeof(frame));
		return 2;
	}
	port = pcap_open_live(argv[1], 65535, 0, 100, why);
	if (!port) {
		fprintf(stderr, "pcap_send: %s\n", why);
		return 1;
	}
	ready.fd = pcap_get_selectable_fd(port);
	ready.events = POLLOUT;
	while (sent < count && idle < 10) {
		uint32_t n = htonl(sent);

		memcpy(frame + 14, &n, sizeof(n));
		if (pcap_inject(port, frame, size) > 0) {
			sent++;
			idle = 0;
			continue;
		}
		full++;
		if (poll(&ready, 1, 100) <= 0)
			idle++;
	}
	/* The rest: netmap sends what is queued at each poll(). */
	poll(&ready, 1, 100);
	usleep(100000);
	printf("%u frames queued, %u times full\n", sent, full);
	pcap_close(port);
	return sent == count ? 0 : 1;
}
