// SPDX-License-Identifier: GPL-2.0

//! Names of ports, as a request has them, against a slower reading of the same rule; and what the
//! `netmap` crate makes of names.

use super::bytes::Bytes;
use crate::port::name::{NameError, PortName, Tilde};
use crate::port::select::{select, Counts};
use crate::uapi::flag;

/// `IFNAME`, `IFNAME~`, `IFNAME~QUEUE`, from its bytes up to the first NUL.
fn slowly(field: &[u8]) -> Result<(Vec<u8>, Option<Option<u16>>), NameError> {
    let text: Vec<u8> = field.iter().copied().take_while(|&b| b != 0).collect();
    if text.len() == field.len() {
        return Err(NameError::NoInterface);
    }
    let vale = text.len() >= 4 && &text[..4] == b"vale" && text[4..].contains(&b':');
    if vale || text.contains(&b'{') || text.contains(&b'}') {
        return Err(NameError::Unsupported);
    }
    let mut parts: Vec<&[u8]> = text.split(|&b| b == b'~').collect();
    let tilde = if parts.len() == 1 { None } else { parts.pop() };
    let queue = match tilde {
        None => None,
        Some([]) => Some(None),
        Some(digits) if digits.iter().all(u8::is_ascii_digit) => {
            // Leading zeroes are digits too.
            let value = digits
                .iter()
                .fold(0u64, |v, d| (v * 10 + u64::from(d - b'0')).min(1 << 32));
            Some(Some(u16::try_from(value).map_err(|_| NameError::BadQueue)?))
        }
        Some(_) => return Err(NameError::BadQueue),
    };
    let name = parts.join(&b'~');
    match name.len() {
        1..=15 => Ok((name, queue)),
        _ => Err(NameError::NoInterface),
    }
}

pub fn run(data: &[u8]) {
    let mut b = Bytes::new(data);
    let (mode, ringid, flags) = (u32::from(b.u8() & 15), b.u16(), b.u64());
    let has = Counts {
        tx: b.u32() & 0x7f,
        rx: b.u32() & 0x7f,
        host_tx: b.u32() & 0x3f,
        host_rx: b.u32() & 0x3f,
    };
    let field = b.take(64);
    let parsed = PortName::parse(field);
    match (&parsed, slowly(field)) {
        (Ok(fast), Ok((name, queue))) => {
            assert_eq!(fast.ifname, name);
            let tilde = fast.tilde.map(|t| match t {
                Tilde::None => None,
                Tilde::Queue(queue) => Some(queue),
            });
            assert_eq!(tilde, queue);
        }
        (Err(fast), Err(slow)) => assert_eq!(*fast, slow),
        (fast, slow) => panic!("{fast:?} is not {slow:?}"),
    }
    let (mode, ringid, flags) = match &parsed {
        Ok(name) => name.binding(mode, ringid, flags),
        Err(_) => (mode, ringid, flags),
    };
    let Ok(found) = select(mode, ringid, flags, &has) else {
        return;
    };
    // Whatever was asked, what is bound is there, and only what was asked.
    assert!(found.tx.is_empty() || found.tx.end <= has.tx);
    assert!(found.rx.is_empty() || found.rx.end <= has.rx);
    assert!(found.host_tx.is_empty() || found.host_tx.end <= has.host_tx);
    assert!(found.host_rx.is_empty() || found.host_rx.end <= has.host_rx);
    if flags & flag::RX_RINGS_ONLY != 0 {
        assert!(found.tx.is_empty() && found.host_tx.is_empty() && !found.divert);
    }
    if flags & flag::TX_RINGS_ONLY != 0 {
        assert!(found.rx.is_empty() && found.host_rx.is_empty());
    }
    assert!(!found.divert || found.tx == (0..has.tx));
    if let Ok(PortName {
        tilde: Some(Tilde::Queue(queue)),
        ..
    }) = parsed
    {
        let queue = u32::from(queue);
        assert!(found.is_empty() || found.rx.is_empty() || found.rx == (queue..queue + 1));
        assert!(found.tx.is_empty() && found.host_rx.is_empty());
    }
}
