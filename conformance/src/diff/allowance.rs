//! What may legitimately differ between two federations, stated where a line needs it.
//!
//! Without an allowance a reply must be the same on both sides, but for references. An allowance opens one place of the
//! reply (an expression on its path) and says what is still required there. Each carries its reason.

use regex::Regex;

/// Allowances of one command.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowances(Vec<Allowance>);

#[derive(Debug, Clone)]
struct Allowance {
    path: Regex,
    reason: &'static str,
    check: Check,
}

#[derive(Debug, Clone)]
enum Check {
    /// Every line of both texts has this form.
    EachLine(Regex),
    /// Both texts are the same after everything that this finds is taken out.
    SameWithout(Regex),
    /// Members of objects may come in any order, also of an object that is written out as a text.
    AnyOrder,
}

/// Where the free text of a command arrives.
pub(super) const TEXT: &str = r"data\[\d+\]\.data";

impl Allowances {
    /// Nothing may differ.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// Where `path` leads, both texts consist of lines of the form `line`.
    pub(super) fn each_line(self, path: &str, line: &str, reason: &'static str) -> Self {
        self.and(path, Check::EachLine(expression(line)), reason)
    }

    /// Where `path` leads, both texts are the same but for what `part` finds in them.
    pub(super) fn same_without(self, path: &str, part: &str, reason: &'static str) -> Self {
        let part = Regex::new(part).expect("expressions of allowances are constants, and all are used by a test");
        self.and(path, Check::SameWithout(part), reason)
    }

    /// Where `path` leads, the members of both objects may come in any order.
    pub(super) fn any_order(self, path: &str, reason: &'static str) -> Self {
        self.and(path, Check::AnyOrder, reason)
    }

    /// True when the members of the objects at this place may come in any order.
    pub(super) fn ignores_order(&self, path: &str) -> bool {
        self.0.iter().any(|allowance| matches!(allowance.check, Check::AnyOrder) && allowance.path.is_match(path))
    }

    fn and(mut self, path: &str, check: Check, reason: &'static str) -> Self {
        self.0.push(Allowance { path: expression(path), reason, check });
        self
    }

    /// Why there are allowances.
    pub(super) fn reasons(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|allowance| allowance.reason)
    }

    /// True when an allowance speaks of this place.
    pub(super) fn is_open(&self, path: &str) -> bool {
        self.0.iter().any(|allowance| allowance.path.is_match(path))
    }

    /// What is wrong with two texts that differ all the same; `None` when no allowance speaks of this place.
    pub(super) fn judge(&self, path: &str, left: &str, right: &str) -> Option<Vec<String>> {
        let judges =
            |allowance: &&Allowance| !matches!(allowance.check, Check::AnyOrder) && allowance.path.is_match(path);
        let allowance = self.0.iter().find(judges)?;
        Some(match &allowance.check {
            Check::EachLine(form) => {
                let lines = left.lines().map(|line| ("left", line)).chain(right.lines().map(|line| ("right", line)));
                let wrong = lines.filter(|(_, line)| !form.is_match(line));
                wrong.map(|(side, line)| format!("{side} has an unexpected line {line:?}")).collect()
            }
            Check::SameWithout(part) => {
                let (left, right) = (part.replace_all(left, ""), part.replace_all(right, ""));
                if left == right { Vec::new() } else { vec![format!("{left:?} <> {right:?}")] }
            }
            Check::AnyOrder => return None,
        })
    }
}

/// An expression that has to match the whole text.
fn expression(text: &str) -> Regex {
    Regex::new(&format!("^(?s:{text})$")).expect("expressions of allowances are constants, and all are used by a test")
}
