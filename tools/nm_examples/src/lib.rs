// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the example programs share: ending by a signal, rates, a UDP frame.

pub mod frame;
mod meter;
mod stop;

pub use meter::{human, Meter};
pub use stop::Stop;

use std::process::ExitCode;
use std::time::Duration;

/// Seconds on the command line, as `2` or `0.5`.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let s: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    Duration::try_from_secs_f64(s).map_err(|e| e.to_string())
}

/// Print an error as the tools do; the exit status is 3 for a ring that is taken,
/// 4 for a port that is not there, 5 for want of rights, else 1.
pub fn end(program: &str, done: anyhow::Result<()>) -> ExitCode {
    let Err(e) = done else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{program}: {e:#}");
    let errno = e.downcast_ref::<netmap::Error>().and_then(|e| e.errno());
    ExitCode::from(match errno {
        Some(libc::EBUSY) => 3,
        Some(libc::ENXIO | libc::ENOENT | libc::ENODEV) => 4,
        Some(libc::EPERM | libc::EACCES) => 5,
        _ => 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction_but_no_sign() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(seconds("3"), Ok(Duration::from_secs(3)));
        assert!(seconds("-1").is_err() && seconds("soon").is_err() && seconds("inf").is_err());
    }
}
