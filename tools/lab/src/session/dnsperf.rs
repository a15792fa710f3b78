// SPDX-License-Identifier: GPL-2.0
//! What dnsperf says at its end.

/// Its counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answers {
    /// Queries sent.
    pub sent: u64,
    /// Queries answered, whatever the answer's code.
    pub completed: u64,
    /// Of these: with NOERROR.
    pub good: u64,
}

impl Answers {
    /// Parse the statistics dnsperf prints.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |label: &str| {
            let rest = text.lines().find_map(|l| l.trim().strip_prefix(label))?;
            rest.split_whitespace()
                .next()?
                .trim_end_matches(',')
                .parse::<u64>()
                .ok()
        };
        // "Response codes:  NOERROR 990 (99.00%), NXDOMAIN 10 (1.00%)"
        let codes = text
            .lines()
            .find_map(|l| l.trim().strip_prefix("Response codes:"));
        let good = codes.and_then(|c| {
            let (_, rest) = c.split_once("NOERROR")?;
            rest.split_whitespace().next()?.parse().ok()
        });
        Some(Self {
            sent: number("Queries sent:")?,
            completed: number("Queries completed:")?,
            good: good.unwrap_or(0),
        })
    }

    /// Share of the queries that got a good answer.
    pub fn share(&self) -> f64 {
        if self.sent == 0 {
            return 0.0;
        }
        self.good as f64 / self.sent as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read() {
        let text = "\
Statistics:

  Queries sent:         1000
  Queries completed:    997 (99.70%)
  Queries lost:         3 (0.30%)

  Response codes:       NOERROR 990 (99.30%), NXDOMAIN 7 (0.70%)
";
        assert_eq!(
            Answers::parse(text),
            Some(Answers {
                sent: 1000,
                completed: 997,
                good: 990
            })
        );
        assert!((Answers::parse(text).unwrap().share() - 0.99).abs() < 1e-9);
        assert_eq!(Answers::parse("no statistics"), None);
    }

    #[test]
    fn nothing_answered_has_no_codes() {
        let text = "Queries sent: 50\nQueries completed: 0 (0.00%)\nResponse codes: \n";
        assert_eq!(
            Answers::parse(text),
            Some(Answers {
                sent: 50,
                completed: 0,
                good: 0
            })
        );
    }
}
