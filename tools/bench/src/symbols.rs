// SPDX-License-Identifier: GPL-2.0
//! What is at an address: function, and module or program.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Command;

/// The parts a packet's instructions are divided into.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// Programs.
    User,
    /// The kernel's own text.
    Kernel,
    /// The driver module.
    Ixgbe,
    /// Our module.
    Netmap,
    /// Other modules and compiled BPF programs.
    Other,
}

/// All parts, in the order of the table's columns.
pub const PARTS: [Part; 5] = [
    Part::User,
    Part::Kernel,
    Part::Ixgbe,
    Part::Netmap,
    Part::Other,
];

/// A place: in what, which function, how far into it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Which part.
    pub part: Part,
    /// Module or file; empty for the kernel.
    pub object: String,
    /// Name of the function.
    pub function: String,
    /// Bytes from its start.
    pub offset: u64,
}

struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
    file: String,
}

/// Functions of a file by offset: size (0: not known) and name.
type FileSymbols = BTreeMap<u64, (u64, String)>;

/// Modules and BPF programs are above this address, the kernel's text below.
const MODULES: u64 = 0xffff_ffff_c000_0000;

/// Resolves addresses of one boot.
pub struct Symbols {
    kernel: BTreeMap<u64, (String, String)>,
    mappings: HashMap<String, Vec<Mapping>>,
    stripped: String,
    files: HashMap<String, FileSymbols>,
}

impl Symbols {
    /// From the guest's report; `local` says which file here a path in the guest is.
    pub fn read(report: &str, local: impl Fn(&str) -> std::path::PathBuf) -> Result<Self> {
        let mut symbols = Symbols {
            kernel: BTreeMap::new(),
            mappings: HashMap::new(),
            stripped: "(not exported)".to_owned(),
            files: HashMap::new(),
        };
        for line in report.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["sym", address, name, ref module @ ..] => {
                    let address = u64::from_str_radix(address, 16).context(line.to_owned())?;
                    let module = module.first().unwrap_or(&"");
                    let module = module.trim_matches(['[', ']']).to_owned();
                    symbols.kernel.insert(address, (name.to_owned(), module));
                }
                ["map", case, start, end, offset, file] if file.starts_with('/') => {
                    symbols
                        .mappings
                        .entry(case.to_owned())
                        .or_default()
                        .push(Mapping {
                            start: u64::from_str_radix(start, 16)?,
                            end: u64::from_str_radix(end, 16)?,
                            offset: u64::from_str_radix(offset, 16)?,
                            file: file.to_owned(),
                        });
                    if !symbols.files.contains_key(file) {
                        let table = file_symbols(&local(file))?;
                        symbols.files.insert(file.to_owned(), table);
                    }
                }
                _ => {}
            }
        }
        Ok(symbols)
    }

    /// What is at `address` while `case` ran.
    pub fn find(&self, case: &str, address: u64) -> Place {
        if address >> 63 == 0 {
            self.find_user(case, address)
        } else {
            self.find_kernel(address)
        }
    }

    fn find_kernel(&self, address: u64) -> Place {
        let nearest = self.kernel.range(..=address).next_back();
        let in_modules = address >= MODULES;
        match nearest {
            Some((start, (name, module))) if !in_modules || address - start < 0x10000 => {
                let part = match module.as_str() {
                    "" => Part::Kernel,
                    "ixgbe" => Part::Ixgbe,
                    "netmap" => Part::Netmap,
                    _ => Part::Other,
                };
                Place {
                    part,
                    object: module.clone(),
                    function: name.clone(),
                    offset: address - start,
                }
            }
            _ => unknown(
                if in_modules {
                    Part::Other
                } else {
                    Part::Kernel
                },
                address,
            ),
        }
    }

    fn find_user(&self, case: &str, address: u64) -> Place {
        let none = Vec::new();
        let mappings = self.mappings.get(case).unwrap_or(&none);
        let Some(mapping) = mappings
            .iter()
            .find(|m| (m.start..m.end).contains(&address))
        else {
            // Not in a file: a filter compiled by the program itself.
            return Place {
                part: Part::User,
                object: "made at run time".to_owned(),
                function: "(generated code)".to_owned(),
                offset: address & 0xfff,
            };
        };
        let inside = address - mapping.start + mapping.offset;
        let table = self.files.get(&mapping.file);
        let nearest = table.and_then(|table| table.range(..=inside).next_back());
        let (start, name) = match nearest {
            Some((start, (size, name))) if *size == 0 || inside - start < *size => (*start, name),
            // A stripped library names only what it exports.
            _ => (inside & !0xfff, &self.stripped),
        };
        let name = name.clone();
        let object = Path::new(&mapping.file).file_name().unwrap_or_default();
        Place {
            part: Part::User,
            object: object.to_string_lossy().into_owned(),
            function: name,
            offset: inside - start,
        }
    }
}

fn unknown(part: Part, address: u64) -> Place {
    Place {
        part,
        object: String::new(),
        function: format!("{:x}…", address >> 12),
        offset: address & 0xfff,
    }
}

/// Functions of an ELF file by file offset; none when the file is not here.
///
/// `nm` gives virtual addresses, which are turned into offsets by the program headers.
fn file_symbols(path: &Path) -> Result<FileSymbols> {
    let mut table = FileSymbols::new();
    if !path.exists() {
        return Ok(table);
    }
    let segments = load_segments(path)?;
    for dynamic in [true, false] {
        let mut nm = Command::new("nm");
        nm.args(["-C", "-S", "--defined-only"]);
        if dynamic {
            nm.arg("-D");
        }
        let output = nm.arg(path).output().context("run nm")?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Some((address, size, name)) = function(line) else {
                continue;
            };
            let segment = segments
                .iter()
                .find(|s| (s.1..s.1 + s.2).contains(&address));
            if let Some((offset, start, _)) = segment {
                table.insert(address - start + offset, (size, name));
            }
        }
    }
    Ok(table)
}

/// A line of `nm -S`: address, size when there is one, kind, name.
fn function(line: &str) -> Option<(u64, u64, String)> {
    let hex = |word: &str| u64::from_str_radix(word, 16).ok();
    let (address, rest) = line.split_once(' ')?;
    let (first, second) = rest.split_once(' ')?;
    let (size, kind, name) = if first.len() == 1 {
        (0, first, second)
    } else {
        let (kind, name) = second.split_once(' ')?;
        (hex(first)?, kind, name)
    };
    let name = name.split('@').next()?;
    "tTwWi"
        .contains(kind)
        .then_some((hex(address)?, size, name.to_owned()))
}

/// Offset, address and size of each loaded part of an ELF file.
fn load_segments(path: &Path) -> Result<Vec<(u64, u64, u64)>> {
    let output = Command::new("readelf").arg("-lW").arg(path).output();
    let output = output.context("run readelf (package binutils)")?;
    let number = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16);
    let mut segments = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["LOAD", offset, address, _, size, ..] = words[..] {
            segments.push((number(offset)?, number(address)?, number(size)?));
        }
    }
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::function;

    #[test]
    fn lines_of_nm_are_understood() {
        let sized = function("0000000000001000 0000000000000020 T poll@@GLIBC_2.2.5");
        assert_eq!(sized, Some((0x1000, 0x20, "poll".to_owned())));
        let plain = function("0000000000002000 t <a::B as c::D>::e");
        assert_eq!(plain, Some((0x2000, 0, "<a::B as c::D>::e".to_owned())));
        assert_eq!(function("0000000000003000 0000000000000008 D data"), None);
        assert_eq!(function("                 U undefined"), None);
    }
}
