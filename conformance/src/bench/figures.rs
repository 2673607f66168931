//! Medians, and the table that is printed.

use std::io::{self, Write};
use std::time::Duration;

/// The middle of `times`.
pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    /// At most so long.
    AtMost(Duration),
    /// At most so many times what the echo takes.
    Ratio(f64),
    /// Nothing in particular.
    None,
}

#[derive(Debug)]
struct Row {
    name: String,
    own: String,
    echo: String,
    ratio: String,
    aim: String,
    verdict: &'static str,
}

/// Rows of the table.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Row>);

impl Figures {
    /// A time beside that of the echo.
    pub(crate) fn compare(&mut self, name: &str, own: Duration, echo: Duration, aim: Aim) {
        let ratio = own.as_secs_f64() / echo.as_secs_f64();
        self.push(name, milliseconds(own), milliseconds(echo), Some(ratio), aim, own);
    }

    /// A rate beside that of the echo.
    pub(crate) fn rates(&mut self, name: &str, own: f64, echo: f64, aim: Aim) {
        let once = Duration::from_secs_f64(1.0 / own.max(1e-9));
        self.push(name, format!("{own:.0} /s"), format!("{echo:.0} /s"), Some(echo / own), aim, once);
    }

    /// A time that the echo has no counterpart of.
    pub(crate) fn single(&mut self, name: &str, own: Duration, aim: Aim) {
        self.push(name, milliseconds(own), "-".to_owned(), None, aim, own);
    }

    /// How fast so many bytes were moved, beside the copy.
    pub(crate) fn transfer(&mut self, name: &str, bytes: f64, own: Duration, copy: Duration, aim: Aim) {
        let rate = |time: Duration| format!("{:.0} MB/s", bytes / 1e6 / time.as_secs_f64());
        let ratio = own.as_secs_f64() / copy.as_secs_f64();
        self.push(name, rate(own), rate(copy), Some(ratio), aim, own);
    }

    /// An amount of memory that nothing is aimed at.
    pub(crate) fn amount(&mut self, name: &str, bytes: u64) {
        self.push(name, mebibytes(bytes), "-".to_owned(), None, Aim::None, Duration::ZERO);
    }

    /// An amount of memory.
    pub(crate) fn memory(&mut self, name: &str, bytes: u64, most: u64) {
        self.0.push(Row {
            name: name.to_owned(),
            own: mebibytes(bytes),
            echo: "-".to_owned(),
            ratio: "-".to_owned(),
            aim: format!("<= {}", mebibytes(most)),
            verdict: verdict(bytes <= most),
        });
    }

    fn push(&mut self, name: &str, own: String, echo: String, ratio: Option<f64>, aim: Aim, time: Duration) {
        let (aim, verdict) = match aim {
            Aim::AtMost(most) => (format!("<= {}", milliseconds(most)), verdict(time <= most)),
            Aim::Ratio(most) => (format!("<= {most:.1} x"), verdict(ratio.is_some_and(|ratio| ratio <= most))),
            Aim::None => ("-".to_owned(), ""),
        };
        let ratio = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2} x"));
        self.0.push(Row { name: name.to_owned(), own, echo, ratio, aim, verdict });
    }

    /// Writes the table.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{:<36}{:>12}{:>12}{:>10}{:>14}", "", "simulator", "plain echo", "ratio", "aim")?;
        for row in &self.0 {
            let line = format!(
                "{:<36}{:>12}{:>12}{:>10}{:>14}  {}",
                row.name, row.own, row.echo, row.ratio, row.aim, row.verdict
            );
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0))
}

const fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_beside_what_the_echo_takes_and_what_is_aimed_at() {
        let mut figures = Figures::default();
        let ms = Duration::from_millis;
        figures.compare("connect", ms(8), ms(4), Aim::AtMost(ms(10)));
        figures.rates("commands", 1000.0, 4000.0, Aim::Ratio(3.0));
        figures.single("start", ms(9), Aim::AtMost(ms(10)));
        figures.memory("memory", 16 * 1024 * 1024, 15 * 1024 * 1024);
        let mut table = Vec::new();
        figures.write(&mut table).unwrap();
        insta::assert_snapshot!(String::from_utf8(table).unwrap(), @r"
                                               simulator  plain echo     ratio           aim
        connect                                 8.000 ms    4.000 ms    2.00 x  <= 10.000 ms  met
        commands                                 1000 /s     4000 /s    4.00 x      <= 3.0 x  missed
        start                                   9.000 ms           -         -  <= 10.000 ms  met
        memory                                  16.0 MiB           -         -   <= 15.0 MiB  missed
        ");
    }

    #[test]
    fn the_median_is_the_middle() {
        let mut times = [5, 1, 9].map(Duration::from_secs);
        assert_eq!(median(&mut times), Duration::from_secs(5));
        assert_eq!(median(&mut []), Duration::ZERO);
    }
}
