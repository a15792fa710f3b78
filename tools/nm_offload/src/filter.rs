// SPDX-License-Identifier: GPL-2.0
//! tcpdump expressions, compiled and run by libpcap.
//!
//! Four functions of libpcap are all it takes, so they are declared here; a
//! wrapper crate would bring capture handles nobody needs.

use anyhow::{bail, Context, Result};
use std::ffi::{c_char, c_int, c_uint, CStr, CString};

/// Link type Ethernet.
const DLT_EN10MB: c_int = 1;
/// Filters may look at the whole packet.
const SNAPLEN: c_int = 65535;
/// No netmask: it only matters for "ip broadcast".
const NETMASK_UNKNOWN: c_uint = 0xffff_ffff;

#[repr(C)]
struct BpfInsn {
    code: u16,
    jt: u8,
    jf: u8,
    k: u32,
}

#[repr(C)]
struct BpfProgram {
    len: c_uint,
    insns: *mut BpfInsn,
}

/// Opaque handle of libpcap.
#[repr(C)]
struct Pcap {
    _private: [u8; 0],
}

#[link(name = "pcap")]
extern "C" {
    fn pcap_open_dead(linktype: c_int, snaplen: c_int) -> *mut Pcap;
    fn pcap_close(p: *mut Pcap);
    fn pcap_compile(
        p: *mut Pcap,
        program: *mut BpfProgram,
        text: *const c_char,
        optimize: c_int,
        netmask: c_uint,
    ) -> c_int;
    fn pcap_freecode(program: *mut BpfProgram);
    fn pcap_geterr(p: *mut Pcap) -> *const c_char;
    fn bpf_filter(insns: *const BpfInsn, pkt: *const u8, wirelen: c_uint, caplen: c_uint)
        -> c_uint;
}

/// A compiled expression.
#[derive(Debug)]
pub struct Filter {
    program: BpfProgramOwner,
    text: String,
}

struct BpfProgramOwner(BpfProgram);

impl std::fmt::Debug for BpfProgramOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} instructions", self.0.len)
    }
}

// SAFETY: after compilation the program is only read.
unsafe impl Send for BpfProgramOwner {}
// SAFETY: as above.
unsafe impl Sync for BpfProgramOwner {}

impl Drop for BpfProgramOwner {
    fn drop(&mut self) {
        // SAFETY: filled in by a successful pcap_compile, freed once.
        unsafe { pcap_freecode(&mut self.0) }
    }
}

impl Filter {
    /// Compile `text` for Ethernet frames.
    pub fn compile(text: &str) -> Result<Self> {
        let c_text = CString::new(text).context("a zero byte in the expression")?;
        let mut program = BpfProgram {
            len: 0,
            insns: std::ptr::null_mut(),
        };
        // SAFETY: no arguments with addresses; the handle is closed below.
        let handle = unsafe { pcap_open_dead(DLT_EN10MB, SNAPLEN) };
        if handle.is_null() {
            bail!("libpcap: not enough memory");
        }
        // SAFETY: a live handle, a program to fill in, a C string.
        let ret =
            unsafe { pcap_compile(handle, &mut program, c_text.as_ptr(), 1, NETMASK_UNKNOWN) };
        // SAFETY: pcap_geterr returns a string inside the live handle.
        let error = unsafe { CStr::from_ptr(pcap_geterr(handle)) }
            .to_string_lossy()
            .into_owned();
        // SAFETY: the handle is not used after this; the program does not need it.
        unsafe { pcap_close(handle) };
        if ret != 0 {
            bail!("filter expression '{text}': {error} (see 'man pcap-filter')");
        }
        Ok(Self {
            program: BpfProgramOwner(program),
            text: text.to_string(),
        })
    }

    /// Does it match? `head` is what is at hand of a frame of `wire` bytes.
    #[inline]
    pub fn matches(&self, head: &[u8], wire: u32) -> bool {
        // SAFETY: a program libpcap has compiled and checked; it reads caplen
        // bytes of `head` at most.
        unsafe {
            bpf_filter(
                self.program.0.insns,
                head.as_ptr(),
                wire,
                head.len() as c_uint,
            ) != 0
        }
    }

    /// The expression.
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::udp_frame;

    #[test]
    fn ports_and_addresses_are_told_apart() {
        let dns = udp_frame([192, 0, 2, 1], 5353, 53, b"query");
        let f = Filter::compile("udp dst port 53").expect("compiles");
        assert!(f.matches(&dns, dns.len() as u32));
        let f = Filter::compile("udp src port 53").expect("compiles");
        assert!(!f.matches(&dns, dns.len() as u32));
        let f = Filter::compile("src net 192.0.2.0/24").expect("compiles");
        assert!(f.matches(&dns, dns.len() as u32));
    }

    #[test]
    fn length_is_the_length_on_the_wire() {
        let dns = udp_frame([192, 0, 2, 1], 5353, 53, b"query");
        let f = Filter::compile("greater 1000").expect("compiles");
        assert!(!f.matches(&dns, dns.len() as u32));
        assert!(f.matches(&dns, 9000));
    }

    #[test]
    fn short_frames_do_not_match_and_do_not_crash() {
        let f = Filter::compile("udp[8] & 0x80 = 0").expect("compiles");
        for n in 0..60 {
            let frame = udp_frame([192, 0, 2, 1], 1, 2, b"");
            assert!(!f.matches(&frame[..n.min(41)], n as u32));
        }
    }

    #[test]
    fn errors_name_the_expression() {
        let e = Filter::compile("udp dst prot 53")
            .expect_err("nonsense")
            .to_string();
        assert!(
            e.contains("udp dst prot 53") && e.contains("pcap-filter"),
            "{e}"
        );
    }
}
