//! A badge: one small SVG that needs nothing else, and the same as an endpoint of shields.io.

use serde_json::{Value, json};

use super::model::Report;

/// What a badge says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Badge {
    message: String,
    is_green: bool,
}

const LABEL: &str = "FLARE conformance";
const GREEN: &str = "#2a7f3f";
const RED: &str = "#b3261e";

impl Badge {
    /// The badge of one report, or of several together.
    #[must_use]
    pub fn of(reports: &[Report]) -> Self {
        let green = reports.iter().filter(|report| report.is_green()).count();
        let message = match reports {
            [report] => {
                let divergence = report.figures.divergence;
                let coverage = report.figures.coverage.percent();
                format!("{} of {} diverge, {coverage} covered", divergence.count, divergence.of)
            }
            _ => format!("{green} of {} targets green", reports.len()),
        };
        Self { message, is_green: !reports.is_empty() && green == reports.len() }
    }

    /// The picture.
    #[must_use]
    pub fn svg(&self) -> String {
        /// Width of a letter of Verdana 11 on average, and the room beside a text.
        const LETTER: usize = 7;
        const ROOM: usize = 12;
        let label = LABEL.len() * LETTER + ROOM;
        let message = self.message.chars().count() * LETTER + ROOM;
        let (width, color) = (label + message, if self.is_green { GREEN } else { RED });
        let text = escape(&self.message);
        let (left, right) = (label / 2, label + message / 2);
        let (label_text, message_text) = (label - ROOM, message - ROOM);
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{LABEL}: {text}"><title>{LABEL}: {text}</title><clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath><g clip-path="url(#r)"><rect width="{label}" height="20" fill="#444"/><rect x="{label}" width="{message}" height="20" fill="{color}"/></g><g fill="#fff" text-anchor="middle" font-family="Verdana,Geneva,sans-serif" font-size="11"><text x="{left}" y="14" textLength="{label_text}">{LABEL}</text><text x="{right}" y="14" textLength="{message_text}">{text}</text></g></svg>
"##
        )
    }

    /// The JSON that `https://img.shields.io/endpoint` reads.
    #[must_use]
    pub fn endpoint(&self) -> Value {
        let color = if self.is_green { GREEN } else { RED };
        json!({"schemaVersion": 1, "label": LABEL, "message": self.message, "color": color, "isError": !self.is_green})
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
