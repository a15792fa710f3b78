// SPDX-License-Identifier: GPL-2.0
//! tcpdump expressions, compiled by libpcap and run as machine code made from its
//! program, or by its interpreter where that cannot be.
//!
//! A few functions of libpcap are all it takes, so they are declared here; a
//! wrapper crate would bring capture handles nobody needs.

mod bpf;
#[cfg(target_arch = "x86_64")]
mod jit;
#[cfg(all(test, target_arch = "x86_64"))]
mod jit_tests;

use anyhow::{bail, Context, Result};
use bpf::Insn;
use std::ffi::{c_char, c_int, c_uint, CStr, CString};

/// Link type Ethernet.
const DLT_EN10MB: c_int = 1;
/// Filters may look at the whole packet.
const SNAPLEN: c_int = 65535;
/// No netmask: it only matters for "ip broadcast".
const NETMASK_UNKNOWN: c_uint = 0xffff_ffff;

#[repr(C)]
struct BpfProgram {
    len: c_uint,
    insns: *mut Insn,
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
    fn bpf_filter(insns: *const Insn, pkt: *const u8, wirelen: c_uint, caplen: c_uint) -> c_uint;
}

/// A compiled expression.
#[derive(Debug)]
pub struct Filter {
    program: BpfProgramOwner,
    #[cfg(target_arch = "x86_64")]
    code: Option<jit::Code>,
    text: String,
}

struct BpfProgramOwner(BpfProgram);

impl BpfProgramOwner {
    fn insns(&self) -> &[Insn] {
        if self.0.insns.is_null() {
            return &[];
        }
        // SAFETY: libpcap allocated that many, they live until drop.
        unsafe { std::slice::from_raw_parts(self.0.insns, self.0.len as usize) }
    }

    /// Run it with libpcap's interpreter.
    fn interpret(&self, head: &[u8], wire: u32) -> u32 {
        // SAFETY: a program libpcap has compiled and checked; it reads caplen
        // bytes of `head` at most.
        unsafe { bpf_filter(self.0.insns, head.as_ptr(), wire, head.len() as c_uint) }
    }
}

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
        let program = BpfProgramOwner(program);
        Ok(Self {
            #[cfg(target_arch = "x86_64")]
            code: jit::Code::new(program.insns()),
            program,
            text: text.to_string(),
        })
    }

    /// Does it match? `head` is what is at hand of a frame of `wire` bytes.
    #[inline]
    pub fn matches(&self, head: &[u8], wire: u32) -> bool {
        #[cfg(target_arch = "x86_64")]
        if let Some(code) = &self.code {
            return code.run(head, wire) != 0;
        }
        self.program.interpret(head, wire) != 0
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
