// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who has which queue, as `nmq queue show` prints it.

use netmap::{Kind, Queues, State};

fn main() -> netmap::Result<()> {
    for entry in Queues::all()? {
        let q = entry?;
        match (q.kind, q.state) {
            (Kind::Port, _) => println!("{}: {} RX queues", q.ifname, q.num_queues),
            (_, State::Kernel) => {}
            (kind, state) => println!(
                "  {kind} {}: {state}, {} (pid {}), {} packets",
                q.queue, q.comm, q.pid, q.counter[0]
            ),
        }
    }
    Ok(())
}
