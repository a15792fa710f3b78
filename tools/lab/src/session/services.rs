// SPDX-License-Identifier: GPL-2.0
//! The guest's services: knot with one zone, nginx with one page, an iperf3 server.

use super::stage::Stage;
use anyhow::Result;
use std::fmt::Write;

/// The zone knot serves.
pub const ZONE: &str = "example.test";
/// Hosts in it.
const HOSTS: usize = 200;

const KNOT: &str = "\
server:
    rundir: /run/services
    user: root:root
    listen: 10.0.3.1@53
    udp-workers: 4
    tcp-workers: 1
    background-workers: 1
database:
    storage: /run/services
log:
  - target: stderr
    any: warning
template:
  - id: default
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: example.test
    file: /etc/knot/example.test.zone
";

const NGINX: &str = "\
worker_processes 1;
error_log /run/nginx.error.log;
pid /run/nginx.pid;
events { worker_connections 256; }
http {
    access_log off;
    server {
        listen 10.0.3.1:80;
        root /srv/www;
    }
}
";

fn zone_file() -> String {
    let mut text = format!(
        "$ORIGIN {ZONE}.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 10.0.3.1\n"
    );
    for n in 1..=HOSTS {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "host{n} A 192.0.2.{}", n % 250 + 1);
    }
    text
}

/// The good queries, as dnsperf reads them.
pub fn query_file() -> String {
    (1..=HOSTS).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "host{n}.{ZONE} A");
        text
    })
}

/// Write their configuration and start them.
pub fn start(stage: &Stage) -> Result<()> {
    let vm = stage.vm;
    vm.write("/etc/knot/knot.conf", KNOT)?;
    vm.write("/etc/knot/example.test.zone", &zone_file())?;
    vm.write("/etc/nginx/nginx.conf", NGINX)?;
    vm.must("mkdir -p /run/services")?;
    vm.write("/srv/www/index.html", &"all is well\n".repeat(300))?;
    stage.guest("knotd -d -c /etc/knot/knot.conf && nginx && iperf3 -s -D")?;
    // The zone is loaded in the background.
    vm.must(&format!(
        "for i in $(seq 50); do kdig +timeout=1 +retry=0 @10.0.3.1 host1.{ZONE} +short 2>/dev/null | grep -q 192.0.2 && exit 0; sleep 0.2; done; \
         echo 'knot does not answer' >&2; exit 1"
    ))?;
    Ok(())
}
