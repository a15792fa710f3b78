// SPDX-License-Identifier: GPL-2.0
//! Messages: one line each, to standard error or a file.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};
use log::{LevelFilter, Log, Metadata, Record};

struct Logger {
    name: String,
    out: Mutex<Box<dyn Write + Send>>,
}

impl Log for Logger {
    fn enabled(&self, m: &Metadata) -> bool {
        m.level() <= log::max_level()
    }

    fn log(&self, r: &Record) {
        if let (true, Ok(mut out)) = (self.enabled(r.metadata()), self.out.lock()) {
            let _ = writeln!(out, "{}: {}: {}", self.name, r.level(), r.args());
        }
    }

    fn flush(&self) {}
}

/// Sends messages of the whole process to `file`, or (warnings and worse) to standard error.
pub fn start(name: &str, file: Option<&Path>) -> Result<()> {
    let (out, level): (Box<dyn Write + Send>, _) = match file {
        Some(path) => {
            let f = OpenOptions::new().create(true).append(true).open(path);
            let f = f.with_context(|| format!("--log {}: cannot open", path.display()))?;
            (Box::new(f), LevelFilter::Info)
        }
        None => (Box::new(std::io::stderr()), LevelFilter::Warn),
    };
    let logger = Logger {
        name: name.into(),
        out: Mutex::new(out),
    };
    log::set_boxed_logger(Box::new(logger))?;
    log::set_max_level(level);
    Ok(())
}
