// SPDX-License-Identifier: GPL-2.0
//! The count of a test run, and how its lines look.

use std::io::Write;

/// Passed, failed and skipped so far.
#[derive(Debug, Default)]
pub struct Tally {
    passed: usize,
    skipped: usize,
    failures: Vec<String>,
}

impl Tally {
    /// A test that passed.
    pub fn passed(&mut self, part: &str, name: &str) {
        self.passed += 1;
        line(&format!("ok {part} {name}"));
    }

    /// A test that cannot run here. It counts as neither passed nor failed.
    pub fn skipped(&mut self, part: &str, name: &str, why: &str) {
        self.skipped += 1;
        line(&format!("ok {part} {name} # SKIP {why}"));
    }

    /// A test that failed, and why.
    pub fn failed(&mut self, part: &str, name: &str, why: &str) {
        self.failures.push(format!("{part} {name}"));
        line(&format!(
            "not ok {part} {name} # {}",
            why.trim_end().replace('\n', "\n#     ")
        ));
    }

    /// Tests so far.
    pub fn count(&self) -> usize {
        self.passed + self.skipped + self.failures.len()
    }

    /// Print the result, the single line last; the exit status.
    pub fn finish(&self) -> i32 {
        for name in &self.failures {
            line(&format!("# failed: {name}"));
        }
        if self.skipped > 0 {
            line(&format!("# skipped: {}", self.skipped));
        }
        line(&format!(
            "{} passed, {} failed",
            self.passed,
            self.failures.len()
        ));
        i32::from(!self.failures.is_empty())
    }
}

/// Print one line at once, also into a pipe.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that went away must not stop the clean end of the machine.
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}
