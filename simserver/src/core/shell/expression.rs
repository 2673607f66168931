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

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExpressionError {
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

/// Compiles `pattern` to be searched for in single lines.
pub(super) fn compile(pattern: &str, ignore_case: bool) -> Result<Regex, ExpressionError> {
    if pattern.len() > MAX_PATTERN_LEN {
        return Err(NotModelled("grep with a pattern as long as this"));
    }
    let mut parser = Parser { rest: pattern, closed: 0, colons: false, ignore_case };
    let translated = parser.alternatives(0)?;
    if parser.colons {
        return Err(Invalid("character class syntax is [[:space:]], not [:space:]"));
    }
    RegexBuilder::new(&translated)
        .case_insensitive(ignore_case)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
        .map_err(|_| NotModelled("grep with an expression as large as this"))
}

struct Parser<'a> {
    rest: &'a str,
    /// Groups closed so far.
    closed: usize,
    /// A bracket like `[:space:]` was met.
    colons: bool,
    ignore_case: bool,
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
            if self.eat(r"\|") || self.eat("\n") {
                out.push('|');
            } else {
                out.push(')');
                return Ok(out);
            }
        }
    }

    fn branch(&mut self, depth: usize, out: &mut String) -> Result<(), ExpressionError> {
        let mut at_start = true;
        while !self.rest.is_empty() && !self.rest.starts_with(r"\|") && !self.rest.starts_with('\n') {
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
                out.push_str(&self.repeated_item(depth)?);
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
            && (after.is_empty() || after.starts_with(['\n']) || after.starts_with(r"\|") || after.starts_with(r"\)"))
        {
            self.rest = after;
            return Some("$");
        }
        let anchors = [
            (r"\<", r"\b{start}"),
            (r"\>", r"\b{end}"),
            (r"\b", r"\b"),
            (r"\B", r"\B"),
            (r"\`", "^"),
            (r"\'", "$"),
        ];
        anchors.into_iter().find_map(|(text, translated)| self.eat(text).then_some(translated))
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
            Some('w') => Ok(r"[_\p{Alphabetic}\p{Nd}]".to_owned()),
            Some('W') => Ok(r"[^_\p{Alphabetic}\p{Nd}]".to_owned()),
            Some('s') => Ok(format!("[{SPACE}]")),
            Some('S') => Ok(format!("[^{SPACE}]")),
            Some(digit @ '1'..='9') => {
                if digit as usize - '0' as usize <= self.closed {
                    Err(NotModelled("grep with back-references"))
                } else {
                    Err(Invalid("Invalid back reference"))
                }
            }
            Some(other) => Ok(regex::escape(other.encode_utf8(&mut [0; 4]))),
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
                let upper = |character: &char| if self.ignore_case { character.to_ascii_uppercase() } else { *character };
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
        self.colons |= plain && between.is_some_and(|between| between.chars().any(|character| character != ':'));
        out.push(']');
        Ok(out)
    }

    fn element(&mut self, hyphen_allowed: bool) -> Result<Element, ExpressionError> {
        for (open, close) in [("[:", ":]"), ("[=", "=]"), ("[.", ".]")] {
            let Some(rest) = self.rest.strip_prefix(open) else { continue };
            let Some((name, after)) = rest.split_once(close) else { return Err(UNMATCHED_BRACKET) };
            self.rest = after;
            if open == "[:" {
                return class(name, self.ignore_case).map(Element::Class).ok_or(Invalid("Invalid character class name"));
            }
            let mut characters = name.chars();
            return match (characters.next(), characters.next()) {
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
