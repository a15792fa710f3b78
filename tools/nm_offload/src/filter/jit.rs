// SPDX-License-Identifier: GPL-2.0
//! Filter programs as x86_64 machine code.
//!
//! libpcap's interpreter costs about ten instructions per step of a program, for each packet; the
//! same steps compiled cost two or three. What is compiled is what libpcap has
//! compiled and optimised; a program with a step that is not known here, or a system
//! that forbids executable mappings, stays with the interpreter.
//!
//! Registers: A is eax, X is ecx, the packet rdi, its length on the wire esi, the bytes
//! at hand edx; the sixteen words of memory lie in the red zone below rsp. Jumps go forward only,
//! so one pass knows how many bytes are surely at hand at each step, and loads within
//! them need no test.

use super::bpf::{Insn, Op, Source};
use std::io;
use std::ptr::NonNull;

/// Offset of memory word 0 from rsp: within the 128 bytes a leaf function may use.
const MEMORY: i8 = -64;
/// No packet is longer, so no load is further out.
const LONGEST: u32 = 1 << 20;
/// More steps than libpcap ever makes of an expression people write.
const MOST_STEPS: usize = 4096;

/// Compiled code; unmapped on drop.
#[derive(Debug)]
pub struct Code {
    page: NonNull<u8>,
    len: usize,
}

// SAFETY: the code is never written after it was made.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}

type Entry = unsafe extern "sysv64" fn(*const u8, u32, u32) -> u32;

impl Code {
    /// Compile a program; None if it must be interpreted.
    pub fn new(program: &[Insn]) -> Option<Self> {
        let bytes = compile(program)?;
        Self::map(&bytes).ok()
    }

    /// Run it on `head`, the beginning of a packet of `wire` bytes.
    #[inline]
    pub fn run(&self, head: &[u8], wire: u32) -> u32 {
        let len = head.len().min(LONGEST as usize) as u32;
        // SAFETY: the page holds code made by compile(), which follows the calling
        // convention and reads at most `len` bytes of the packet.
        unsafe {
            let entry: Entry = std::mem::transmute(self.page.as_ptr());
            entry(head.as_ptr(), wire, len)
        }
    }

    /// Write, then make executable: never both at once.
    fn map(bytes: &[u8]) -> io::Result<Self> {
        let len = bytes.len().next_multiple_of(4096);
        // SAFETY: a new private mapping, written within its size, then its
        // protection changed; nothing that exists is replaced.
        unsafe {
            let page = libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            if page == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let code = Self {
                page: NonNull::new(page.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
                len,
            };
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), code.page.as_ptr(), bytes.len());
            if libc::mprotect(page, len, libc::PROT_READ | libc::PROT_EXEC) != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(code)
        }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: the mapping made in map(); nobody runs it any more.
        unsafe { libc::munmap(self.page.as_ptr().cast(), self.len) };
    }
}

/// Where a jump leads: a step, or the end that says no.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Step(usize),
    No,
}

#[derive(Default)]
struct Assembler {
    code: Vec<u8>,
    /// Places of 32-bit distances to fill in.
    fixups: Vec<(usize, Target)>,
}

impl Assembler {
    fn put(&mut self, bytes: &[u8]) {
        self.code.extend_from_slice(bytes);
    }

    fn put32(&mut self, bytes: &[u8], imm: u32) {
        self.put(bytes);
        self.put(&imm.to_le_bytes());
    }

    /// A jump with this opcode and a distance of 32 bits.
    fn jump(&mut self, opcode: &[u8], to: Target) {
        self.put(opcode);
        self.fixups.push((self.code.len(), to));
        self.put(&[0; 4]);
    }

    /// Go on only if `need` bytes are at hand.
    fn need(&mut self, need: u32, known: &mut u32) {
        if need > *known {
            self.put32(&[0x81, 0xfa], need); // cmp edx, need
            self.jump(&[0x0f, 0x82], Target::No); // jb
            *known = need;
        }
    }

    /// Load `size` bytes at rdi + `disp`, or at rdi + rcx + `disp`, into A.
    fn load(&mut self, size: u32, indexed: bool, disp: u32) {
        let (modrm, sib): (u8, &[u8]) = if indexed {
            (0x84, &[0x0f]) // [rdi + rcx + disp32]
        } else {
            (0x87, &[]) // [rdi + disp32]
        };
        match size {
            1 => self.put(&[0x0f, 0xb6, modrm]),
            2 => self.put(&[0x0f, 0xb7, modrm]),
            _ => self.put(&[0x8b, modrm]),
        }
        self.put(sib);
        self.put(&disp.to_le_bytes());
        match size {
            1 => {}
            2 => self.put(&[0x66, 0xc1, 0xc0, 0x08]), // rol ax, 8
            _ => self.put(&[0x0f, 0xc8]),             // bswap eax
        }
    }
}

/// Machine code of `program`; None if a step is not known or would leave it.
fn compile(program: &[Insn]) -> Option<Vec<u8>> {
    let n = program.len();
    if n == 0 || n > MOST_STEPS {
        return None;
    }
    let mut asm = Assembler::default();
    // Bytes surely at hand when a step is reached: the least over all ways to it.
    let mut known = vec![None::<u32>; n];
    let mut starts = vec![0usize; n];
    known[0] = Some(0);
    let any = |what: fn(Op) -> bool| program.iter().filter_map(Insn::op).any(what);
    // A program mostly begins with a load; X is 0 until it is set.
    if !matches!(program[0].op(), Some(Op::Abs(..))) {
        asm.put(&[0x31, 0xc0]); // xor eax, eax
    }
    if any(|op| {
        !matches!(
            op,
            Op::Abs(..) | Op::RetK(_) | Op::Jump(_, Source::K(_), ..)
        )
    }) {
        asm.put(&[0x31, 0xc9]); // xor ecx, ecx
    }
    if any(|op| matches!(op, Op::Ind(..))) {
        asm.put(&[0x89, 0xd2]); // mov edx, edx: used as 64 bits
    }
    let memory = any(|op| matches!(op, Op::Mem(_) | Op::LdxMem(_) | Op::St(_) | Op::Stx(_)));
    for i in (0..16i8).step_by(2).filter(|_| memory) {
        asm.put(&[0x48, 0xc7, 0x44, 0x24, (MEMORY + 4 * i) as u8, 0, 0, 0, 0]); // mov qword, 0
    }
    for (i, insn) in program.iter().enumerate() {
        starts[i] = asm.code.len();
        // A step no way leads to need not be known.
        let Some(mut at_hand) = known[i] else {
            continue;
        };
        let op = insn.op()?;
        let next = step(&mut asm, op, i, &mut at_hand)?;
        for to in next.into_iter().flatten() {
            let slot = known.get_mut(to)?;
            *slot = Some(slot.map_or(at_hand, |k| k.min(at_hand)));
        }
    }
    let no = asm.code.len();
    asm.put(&[0x31, 0xc0, 0xc3]); // xor eax, eax; ret
    for (at, to) in asm.fixups {
        let target = match to {
            Target::Step(i) => *starts.get(i)?,
            Target::No => no,
        };
        let distance = target as i64 - (at as i64 + 4);
        let bytes = i32::try_from(distance).ok()?.to_le_bytes();
        asm.code[at..at + 4].copy_from_slice(&bytes);
    }
    Some(asm.code)
}

/// Emit step `i`; the steps that may follow.
fn step(asm: &mut Assembler, op: Op, i: usize, at_hand: &mut u32) -> Option<[Option<usize>; 2]> {
    let memory = |m: u8| (MEMORY + 4 * m as i8) as u8;
    let on = Some([Some(i + 1), None]);
    match op {
        Op::Abs(size, k) => {
            if k >= LONGEST {
                asm.jump(&[0xe9], Target::No);
                return Some([None, None]);
            }
            asm.need(k + size, at_hand);
            asm.load(size, false, k);
        }
        Op::Ind(size, k) => {
            if k >= LONGEST {
                asm.jump(&[0xe9], Target::No);
                return Some([None, None]);
            }
            asm.put32(&[0x4c, 0x8d, 0x81], k + size); // lea r8, [rcx + k + size]
            asm.put(&[0x49, 0x39, 0xd0]); // cmp r8, rdx
            asm.jump(&[0x0f, 0x87], Target::No); // ja
            asm.load(size, true, k);
        }
        Op::Msh(k) => {
            if k >= LONGEST {
                asm.jump(&[0xe9], Target::No);
                return Some([None, None]);
            }
            asm.need(k + 1, at_hand);
            asm.put32(&[0x0f, 0xb6, 0x8f], k); // movzx ecx, byte [rdi + k]
            asm.put(&[0x83, 0xe1, 0x0f, 0xc1, 0xe1, 0x02]); // and ecx, 15; shl ecx, 2
        }
        Op::Imm(k) => asm.put32(&[0xb8], k),
        Op::Len => asm.put(&[0x89, 0xf0]), // mov eax, esi
        Op::LdxImm(k) => asm.put32(&[0xb9], k),
        Op::LdxLen => asm.put(&[0x89, 0xf1]), // mov ecx, esi
        Op::Mem(m) => asm.put(&[0x8b, 0x44, 0x24, memory(m)]),
        Op::LdxMem(m) => asm.put(&[0x8b, 0x4c, 0x24, memory(m)]),
        Op::St(m) => asm.put(&[0x89, 0x44, 0x24, memory(m)]),
        Op::Stx(m) => asm.put(&[0x89, 0x4c, 0x24, memory(m)]),
        Op::Alu(code, Source::K(k)) => alu_k(asm, code, k)?,
        Op::Alu(code, Source::X) => match code {
            0x00 => asm.put(&[0x01, 0xc8]),
            0x10 => asm.put(&[0x29, 0xc8]),
            0x20 => asm.put(&[0x0f, 0xaf, 0xc1]),
            0x40 => asm.put(&[0x09, 0xc8]),
            0x50 => asm.put(&[0x21, 0xc8]),
            0xa0 => asm.put(&[0x31, 0xc8]),
            _ => return None,
        },
        Op::Neg => asm.put(&[0xf7, 0xd8]),
        Op::Tax => asm.put(&[0x89, 0xc1]),
        Op::Txa => asm.put(&[0x89, 0xc8]),
        Op::RetK(k) => {
            asm.put32(&[0xb8], k);
            asm.put(&[0xc3]);
            return Some([None, None]);
        }
        Op::RetA => {
            asm.put(&[0xc3]);
            return Some([None, None]);
        }
        Op::Ja(k) => {
            let to = i.checked_add(1)?.checked_add(k as usize)?;
            asm.jump(&[0xe9], Target::Step(to));
            return Some([Some(to), None]);
        }
        Op::Jump(code, source, jt, jf) => {
            let (yes, no) = (i + 1 + usize::from(jt), i + 1 + usize::from(jf));
            branch(asm, code, source, yes, no, i + 1)?;
            return Some([Some(yes), Some(no)]);
        }
    }
    on
}

fn alu_k(asm: &mut Assembler, code: u16, k: u32) -> Option<()> {
    match code {
        0x00 => asm.put32(&[0x05], k),
        0x10 => asm.put32(&[0x2d], k),
        0x20 => asm.put32(&[0x69, 0xc0], k),
        0x40 => asm.put32(&[0x0d], k),
        0x50 => asm.put32(&[0x25], k),
        0xa0 => asm.put32(&[0x35], k),
        0x60 if k < 32 => asm.put(&[0xc1, 0xe0, k as u8]),
        0x70 if k < 32 => asm.put(&[0xc1, 0xe8, k as u8]),
        0x60 | 0x70 => asm.put(&[0x31, 0xc0]),
        _ => return None,
    }
    Some(())
}

/// Compare, and jump where the way does not simply go on.
fn branch(
    asm: &mut Assembler,
    code: u16,
    source: Source,
    yes: usize,
    no: usize,
    next: usize,
) -> Option<()> {
    // The condition code that is true for "yes"; the lowest bit inverts it.
    let condition = match code {
        0x10 => 0x84, // JEQ: je
        0x20 => 0x87, // JGT: ja
        0x30 => 0x83, // JGE: jae
        0x40 => 0x85, // JSET: jne after test
        _ => return None,
    };
    match (code, source) {
        (0x40, Source::K(k)) => asm.put32(&[0xa9], k), // test eax, k
        (0x40, Source::X) => asm.put(&[0x85, 0xc8]),   // test eax, ecx
        (_, Source::K(k)) => asm.put32(&[0x3d], k),    // cmp eax, k
        (_, Source::X) => asm.put(&[0x39, 0xc8]),      // cmp eax, ecx
    }
    if yes == next {
        asm.jump(&[0x0f, condition ^ 1], Target::Step(no));
    } else {
        asm.jump(&[0x0f, condition], Target::Step(yes));
        if no != next {
            asm.jump(&[0xe9], Target::Step(no));
        }
    }
    Some(())
}
