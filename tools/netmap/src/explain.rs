// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an errno alone does not tell: who has the queue, whether there is such a
//! queue, whether the driver has hooks. The listing knows.

use crate::error::Error;
use crate::queues::{Kind, QueueInfo, Queues};

/// Replace the advice of a refusal by what the listing says about it.
pub(crate) fn explain(e: Error, ifname: &str, queue: Option<u16>) -> Error {
    if !matches!(
        e.errno(),
        Some(libc::EBUSY | libc::EINVAL | libc::EOPNOTSUPP | libc::ENXIO)
    ) || !crate::sys::interface_exists(ifname)
    {
        return e;
    }
    let list = Queues::of(ifname).and_then(Iterator::collect::<crate::Result<Vec<_>>>);
    match list {
        Ok(list) => match reason(&list, e.errno(), ifname, queue) {
            Some(text) => e.with_hint(text),
            None => e,
        },
        Err(_) => e,
    }
}

fn reason(
    list: &[QueueInfo],
    errno: Option<i32>,
    ifname: &str,
    queue: Option<u16>,
) -> Option<String> {
    let Some(port) = list.iter().find(|q| q.kind == Kind::Port) else {
        return Some(format!(
            "the driver of {ifname} has no netmap hooks: load the patched ixgbe.ko (see \
             'ethtool -i {ifname}')"
        ));
    };
    match errno? {
        libc::EBUSY => list
            .iter()
            .filter(|q| matches!(q.kind, Kind::Rx | Kind::Tx) && q.pid != 0)
            .find(|q| queue.is_none_or(|n| u32::from(n) == q.queue))
            .map(|q| {
                let tx = if q.kind == Kind::Tx {
                    "TX ring"
                } else {
                    "queue"
                };
                format!("{tx} {} is taken by {} (pid {})", q.queue, q.comm, q.pid)
            }),
        libc::EINVAL => queue
            .filter(|n| u32::from(*n) >= port.num_queues && port.num_queues > 0)
            .map(|_| {
                format!(
                    "{ifname} has {} RX queues, 0 to {} (see 'ethtool -l {ifname}')",
                    port.num_queues,
                    port.num_queues - 1
                )
            }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::ext::nm_queue_info;

    fn list() -> Vec<QueueInfo> {
        let entry = |kind, queue, pid| {
            let mut raw = nm_queue_info {
                nq_kind: kind,
                nq_queue: queue,
                nq_num_queues: 10,
                nq_pid: pid,
                ..Default::default()
            };
            raw.nq_comm[..3].copy_from_slice(b"dns");
            QueueInfo::from(&raw)
        };
        vec![entry(0, 0, 0), entry(1, 3, 0), entry(1, 4, 812)]
    }

    #[test]
    fn the_owner_of_a_taken_queue_is_named() {
        let why = |q| reason(&list(), Some(libc::EBUSY), "eth3", q);
        assert_eq!(
            why(Some(4)),
            Some("queue 4 is taken by dns (pid 812)".into())
        );
        assert_eq!(why(None), why(Some(4)));
        assert_eq!(why(Some(3)), None);
    }

    #[test]
    fn a_queue_too_many_and_a_driver_without_hooks_are_said() {
        let text = reason(&list(), Some(libc::EINVAL), "eth3", Some(10)).expect("reason");
        assert!(text.contains("10 RX queues, 0 to 9"), "{text}");
        assert_eq!(reason(&list(), Some(libc::EINVAL), "eth3", Some(9)), None);
        for errno in [libc::EOPNOTSUPP, libc::ENXIO] {
            let text = reason(&[], Some(errno), "lo", None).expect("reason");
            assert!(text.contains("no netmap hooks"), "{text}");
            assert_eq!(reason(&list(), Some(errno), "eth3", None), None);
        }
    }
}
