//! POSIX basic regular expressions with the GNU extensions, as `grep` 3.8 reads them.
//!
//! They are translated for the crate `regex`, which takes linear time whatever the expression. Back-references
//! cannot be translated. Beyond ASCII, the character classes follow Unicode's properties, which differ from those
//! of glibc in rare characters.

use regex::bytes::{Regex, RegexBuilder};

/// Groups may lie this deep in each other; the parser is recursive.
const MAX_DEPTH: usize = 100;

/// Repetitions of one item may follow each other, each a level deeper.
const MAX_REPETITIONS: usize = 20;

/// Length of a pattern: its syntax tree takes much more.
const MAX_PATTERN_LEN: usize = 64 << 10;

/// Memory that one compiled expression may take: counted repetitions of large classes multiply.
const MAX_COMPILED: usize = 4 << 20;

/// `RE_DUP_MAX`: the largest count in `\{m,n\}`.
const MAX_REPEAT: u32 = 32_767;

/// White space of glibc's `C.UTF-8`, which leaves out the blanks that do not break a line.
const SPACE: &str = r"\t-\r \x{1680}\x{2000}-\x{2006}\x{2008}-\x{200A}\x{2028}\x{2029}\x{205F}\x{3000}";

/// Why one expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ExpressionError {
    /// `grep` refuses it with this text.
    Invalid(&'static str),
    /// `grep` takes it, the simulator does not.
    NotModelled(&'static str),
}

use ExpressionError::{Invalid, NotModelled};

const UNMATCHED_BRACKET: ExpressionError = Invalid("Unmatched [, [^, [:, [., or [=");
const INVALID_RANGE: ExpressionError = Invalid("Invalid range end");
const INVALID_COLLATION: ExpressionError = Invalid("Invalid collation character");
const BAD_INTERVAL: ExpressionError = Invalid("Invalid content of \\{\\}");

/// Why patterns cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CompileError {
    /// `grep` refuses them, with a line for each of these texts.
    Invalid(Vec<&'static str>),
    /// `grep` takes them, the simulator does not.
    NotModelled(&'static str),
}

/// Compiles `patterns`, one on each line, to be searched for in single lines.
pub(super) fn compile(patterns: &str, ignore_case: bool) -> Result<Regex, CompileError> {
    if patterns.len() > MAX_PATTERN_LEN {
        return Err(CompileError::NotModelled("grep with a pattern as long as this"));
    }
    let mut alternatives = Vec::new();
    let mut complaints = Vec::new();
    let mut late = None;
    for pattern in patterns.split('\n') {
        let mut parser = Parser { rest: pattern, ignore_case, ..Parser::default() };
        match parser.alternatives(0) {
            Ok(translated) => alternatives.push(translated),
            Err(Invalid(complaint)) => complaints.push(complaint),
            Err(NotModelled(what)) => return Err(CompileError::NotModelled(what)),
        }
        if ignore_case && parser.has_escaped_letter && parser.has_class {
            return Err(CompileError::NotModelled("grep -i with an escaped letter beside a class"));
        }
        late = late.or(parser.late);
    }
    if complaints.is_empty() {
        complaints.extend(late);
    }
    if !complaints.is_empty() {
        return Err(CompileError::Invalid(complaints));
    }
    RegexBuilder::new(&alternatives.join("|"))
        .case_insensitive(ignore_case)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
        .map_err(|_| CompileError::NotModelled("grep with an expression as large as this"))
}

#[derive(Default)]
struct Parser<'a> {
    rest: &'a str,
    /// Groups closed so far.
    closed: usize,
    /// What `grep` finds wrong later, in a second look at expressions that are otherwise right.
    late: Option<&'static str>,
    ignore_case: bool,
    /// A letter stands behind a backslash that means nothing there. Beside a class, and when case is ignored,
    /// `grep` 3.8 finds such a letter in no text.
    has_escaped_letter: bool,
    /// There is a bracket, or something else that depends on the kind of a character.
    has_class: bool,
}

impl Parser<'_> {
    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        Some(character)
    }

    /// Branches up to the end, or to the `\)` of the group at `depth`.
    fn alternatives(&mut self, depth: usize) -> Result<String, ExpressionError> {
        let mut out = String::from("(?:");
        loop {
            self.branch(depth, &mut out)?;
            if self.eat(r"\|") {
                out.push('|');
            } else {
                out.push(')');
                return Ok(out);
            }
        }
    }

    fn branch(&mut self, depth: usize, out: &mut String) -> Result<(), ExpressionError> {
        let mut at_start = true;
        let mut only_anchors = true;
        while !self.rest.is_empty() && !self.rest.starts_with(r"\|") {
            if self.rest.starts_with(r"\)") {
                if depth > 0 {
                    break;
                }
                return Err(Invalid(r"Unmatched ) or \)"));
            }
            if let Some(anchor) = self.anchor(at_start) {
                // No repetition can follow: it would stand for itself, as it does at the start of a branch.
                out.push_str(anchor);
            } else {
                if !only_anchors && let Some(interval) = self.rest.strip_prefix(r"\{") {
                    // Behind an anchor this is text, but the second look takes it for a repetition.
                    self.late = self.late.or_else(|| complaint_about(interval));
                }
                out.push_str(&self.repeated_item(depth)?);
                only_anchors = false;
            }
            at_start = false;
        }
        Ok(())
    }

    fn anchor(&mut self, at_start: bool) -> Option<&'static str> {
        if at_start && self.eat("^") {
            return Some("^");
        }
        if let Some(after) = self.rest.strip_prefix('$')
            && (after.is_empty() || after.starts_with(r"\|") || after.starts_with(r"\)"))
        {
            self.rest = after;
            return Some("$");
        }
        let anchors =
            [(r"\<", r"\b{start}"), (r"\>", r"\b{end}"), (r"\b", r"\b"), (r"\B", r"\B"), (r"\`", "^"), (r"\'", "$")];
        let anchor = anchors.into_iter().find_map(|(text, translated)| self.eat(text).then_some(translated));
        self.has_class |= anchor.is_some();
        anchor
    }

    fn repeated_item(&mut self, depth: usize) -> Result<String, ExpressionError> {
        let mut item = self.item(depth)?;
        let mut repetitions = 0;
        while let Some(repeat) = self.repetition()? {
            repetitions += 1;
            if repetitions > MAX_REPETITIONS {
                return Err(NotModelled("grep with repetitions of repetitions as deep as this"));
            }
            item = format!("(?:{item}){repeat}");
        }
        Ok(item)
    }

    /// One character, class or group.
    fn item(&mut self, depth: usize) -> Result<String, ExpressionError> {
        match self.next() {
            Some('\\') => self.escape(depth),
            Some('[') => self.bracket(),
            Some('.') => Ok(".".to_owned()),
            Some(other) => Ok(regex::escape(other.encode_utf8(&mut [0; 4]))),
            None => Ok(String::new()),
        }
    }

    fn escape(&mut self, depth: usize) -> Result<String, ExpressionError> {
        match self.next() {
            None => Err(Invalid("Trailing backslash")),
            Some('(') => self.group(depth),
            Some(kind @ ('w' | 'W' | 's' | 'S')) => {
                self.has_class = true;
                Ok(match kind {
                    'w' => r"[_\p{Alphabetic}\p{Nd}]".to_owned(),
                    'W' => r"[^_\p{Alphabetic}\p{Nd}]".to_owned(),
                    's' => format!("[{SPACE}]"),
                    _ => format!("[^{SPACE}]"),
                })
            }
            Some(digit @ '1'..='9') => {
                if digit as usize - '0' as usize <= self.closed {
                    Err(NotModelled("grep with back-references"))
                } else {
                    Err(Invalid("Invalid back reference"))
                }
            }
            Some(other) => {
                self.has_escaped_letter |= other.is_alphabetic();
                Ok(regex::escape(other.encode_utf8(&mut [0; 4])))
            }
        }
    }

    fn group(&mut self, depth: usize) -> Result<String, ExpressionError> {
        if depth == MAX_DEPTH {
            return Err(NotModelled("grep with groups as deep as this"));
        }
        let inner = self.alternatives(depth + 1)?;
        if !self.eat(r"\)") {
            return Err(Invalid(r"Unmatched ( or \("));
        }
        self.closed += 1;
        Ok(inner)
    }

    fn repetition(&mut self) -> Result<Option<String>, ExpressionError> {
        for (text, translated) in [("*", "*"), (r"\+", "+"), (r"\?", "?")] {
            if self.eat(text) {
                return Ok(Some(translated.to_owned()));
            }
        }
        if self.eat(r"\{") { self.interval().map(Some) } else { Ok(None) }
    }

    /// What stands between `\{` and `\}`.
    fn interval(&mut self) -> Result<String, ExpressionError> {
        let (least, stop) = self.count();
        let (least, most) = match (least, stop) {
            (Count::None, Stop::Comma) => (0, self.count()),
            (Count::Some(number), Stop::Comma) => (number, self.count()),
            (Count::Some(number), stop @ Stop::Close) => (number, (Count::Some(number), stop)),
            (Count::Bad | Count::Some(_), Stop::End) => return Err(Invalid(r"Unmatched \{")),
            _ => return Err(BAD_INTERVAL),
        };
        let most = match most {
            (Count::None, Stop::Close) => None,
            (Count::Some(number), Stop::Close) if number >= least => Some(number),
            (_, Stop::End) => return Err(Invalid(r"Unmatched \{")),
            _ => return Err(BAD_INTERVAL),
        };
        if most.unwrap_or(least) > MAX_REPEAT {
            return Err(Invalid("Regular expression too big"));
        }
        Ok(match most {
            Some(most) => format!("{{{least},{most}}}"),
            None => format!("{{{least},}}"),
        })
    }

    /// A number up to a comma or the end of the interval.
    fn count(&mut self) -> (Count, Stop) {
        let mut count = Count::None;
        loop {
            if self.eat(r"\}") {
                return (count, Stop::Close);
            }
            let character = match self.next() {
                None => return (Count::Bad, Stop::End),
                Some(',') => return (count, Stop::Comma),
                // An escaped character is one that is no digit.
                Some('\\') => {
                    self.next();
                    '\\'
                }
                Some(character) => character,
            };
            count = match (count, character.to_digit(10)) {
                (Count::None, Some(digit)) => Count::Some(digit),
                (Count::Some(number), Some(digit)) => Count::Some((number * 10 + digit).min(MAX_REPEAT + 1)),
                _ => Count::Bad,
            };
        }
    }

    /// What follows `[`.
    fn bracket(&mut self) -> Result<String, ExpressionError> {
        self.has_class = true;
        let negated = self.eat("^");
        if self.rest.is_empty() {
            return Err(Invalid("Invalid regular expression"));
        }
        let text = self.rest;
        let mut out = String::from(if negated { "[^" } else { "[" });
        let mut plain = true;
        let mut first = true;
        loop {
            if !first && self.eat("]") {
                break;
            }
            let element = self.element(first)?;
            first = false;
            if self.rest.is_empty() {
                return Err(UNMATCHED_BRACKET);
            }
            let ranged = !matches!(element, Element::Class(_) | Element::Equivalent(_))
                && self.rest.starts_with('-')
                && !self.rest.starts_with("-]");
            if ranged {
                self.next();
                if self.rest.is_empty() {
                    return Err(UNMATCHED_BRACKET);
                }
                let last = self.element(true)?;
                let (Element::Character(low), Element::Character(high)) = (&element, &last) else {
                    return Err(INVALID_RANGE);
                };
                // The locale knows no order of other characters.
                if !low.is_ascii() || !high.is_ascii() {
                    return Err(INVALID_COLLATION);
                }
                // A range is one of upper-case characters once case is ignored.
                let upper =
                    |character: &char| if self.ignore_case { character.to_ascii_uppercase() } else { *character };
                let (low, high) = (upper(low), upper(high));
                if low > high {
                    return Err(INVALID_RANGE);
                }
                push_class_character(&mut out, low);
                out.push('-');
                push_class_character(&mut out, high);
                plain = false;
            } else {
                match element {
                    Element::Character(character) | Element::Equivalent(character) => {
                        push_class_character(&mut out, character);
                    }
                    Element::Class(class) => {
                        out.push_str(class);
                        plain = false;
                    }
                }
            }
            if self.rest.is_empty() {
                return Err(UNMATCHED_BRACKET);
            }
        }
        let inside = &text[..text.len() - self.rest.len() - 1];
        let between = inside.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
        if plain && between.is_some_and(|between| between.chars().any(|character| character != ':')) {
            self.late.get_or_insert("character class syntax is [[:space:]], not [:space:]");
        }
        out.push(']');
        Ok(out)
    }

    fn element(&mut self, hyphen_allowed: bool) -> Result<Element, ExpressionError> {
        for (open, close) in [("[:", ":]"), ("[=", "=]"), ("[.", ".]")] {
            let Some(rest) = self.rest.strip_prefix(open) else { continue };
            let Some((name, after)) = rest.split_once(close) else { return Err(UNMATCHED_BRACKET) };
            self.rest = after;
            if open == "[:" {
                return class(name, self.ignore_case)
                    .map(Element::Class)
                    .ok_or(Invalid("Invalid character class name"));
            }
            let mut characters = name.chars();
            return match (characters.next(), characters.next()) {
                (Some(character), None) if !character.is_ascii() => Err(INVALID_COLLATION),
                (Some(character), None) if open == "[=" => Ok(Element::Equivalent(character)),
                (Some(character), None) => Ok(Element::Character(character)),
                _ => Err(INVALID_COLLATION),
            };
        }
        let character = self.next().ok_or(UNMATCHED_BRACKET)?;
        if character == '-' && !hyphen_allowed && !self.rest.starts_with(']') {
            return Err(if self.rest.is_empty() { UNMATCHED_BRACKET } else { INVALID_RANGE });
        }
        Ok(Element::Character(character))
    }
}

/// What the second look says about the repetition that starts with `text`.
fn complaint_about(text: &str) -> Option<&'static str> {
    let number = |text: &str| -> (Option<u32>, usize) {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number = text[..digits].parse().unwrap_or(MAX_REPEAT + 1);
        ((digits > 0).then_some(number), digits)
    };
    let (least, digits) = number(text);
    let mut rest = &text[digits..];
    let (mut least, mut most) = (least, least);
    if let Some(after) = rest.strip_prefix(',') {
        least = least.or(Some(0));
        let digits;
        (most, digits) = number(after);
        rest = &after[digits..];
    }
    let valid = rest.starts_with(r"\}") && least.is_some_and(|least| most.is_none_or(|most| least <= most));
    if !valid {
        return Some(r"invalid content of \{\}");
    }
    most.is_some_and(|most| most > MAX_REPEAT).then_some("regular expression too big")
}

enum Element {
    Character(char),
    Equivalent(char),
    Class(&'static str),
}

#[derive(Clone, Copy)]
enum Count {
    None,
    Some(u32),
    Bad,
}

#[derive(Clone, Copy)]
enum Stop {
    Comma,
    Close,
    End,
}

fn push_class_character(out: &mut String, character: char) {
    use std::fmt::Write as _;
    let _ = write!(out, r"\x{{{:x}}}", character as u32);
}

fn class(name: &str, ignore_case: bool) -> Option<&'static str> {
    Some(match name {
        // Letters that know no case are among these, too, once case is ignored.
        "upper" | "lower" if ignore_case => r"\p{Alphabetic}",
        "alpha" => r"\p{Alphabetic}",
        "digit" => "0-9",
        "alnum" => r"\p{Alphabetic}\p{Nd}",
        "upper" => r"\p{Uppercase}",
        "lower" => r"\p{Lowercase}",
        "space" => SPACE,
        "blank" => r"\t \x{1680}\x{2000}-\x{2006}\x{2008}-\x{200A}\x{205F}\x{3000}",
        "punct" => r"!-/:-@\[-`{-~[[\p{P}\p{S}]&&[^\x00-\x7F]]",
        "print" => r"[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]",
        "graph" => r"[\p{L}\p{M}\p{N}\p{P}\p{S}]",
        "cntrl" => r"\p{Cc}",
        "xdigit" => "0-9A-Fa-f",
        _ => return None,
    })
}
