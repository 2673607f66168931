//! One pass of a parser over its words.

use flare_wire::hci::python_repr;
use regex::Regex;
use serde_json::Value;

use super::integer::python_int;
use super::{Arguments, ArgumentsError, Count, ErrorStyle, OptionKind, OptionSpec, Parser};

/// An option as found in one word.
#[derive(Debug, Clone)]
struct Found {
    /// `None` for something that looks like an option and is not known.
    option: Option<OptionSpec>,
    /// The rest of the word: `3` in `-n3` and `--x=3`.
    attached: Option<String>,
}

/// What stops a pass.
enum Stop {
    /// An error about one argument: the whole line then counts as not recognized.
    Argument(String),
    /// The error ends everything, as an exception that nobody expected does.
    Final(String),
}

pub(super) struct Run<'a> {
    parser: &'a Parser,
    words: &'a [String],
    /// Per word: an option or not.
    found: Vec<Option<Found>>,
    /// Per word `O` for an option, `-` for the first `--`, `A` for anything else; the positional arguments are
    /// matched against this text.
    pattern: String,
    waiting: &'a [(&'static str, Count)],
    extras: Vec<String>,
    arguments: Arguments,
    error: Option<String>,
}

impl<'a> Run<'a> {
    pub(super) fn new(parser: &'a Parser, words: &'a [String]) -> Self {
        Self {
            parser,
            words,
            found: Vec::new(),
            pattern: String::new(),
            waiting: parser.positionals,
            extras: Vec::new(),
            arguments: Arguments::default(),
            error: None,
        }
    }

    pub(super) fn parse(mut self) -> Result<Arguments, ArgumentsError> {
        let outcome = self.scan();
        let extras = match outcome {
            Ok(()) => std::mem::take(&mut self.extras),
            Err(Stop::Final(text)) => return Err(ArgumentsError(text)),
            Err(Stop::Argument(text)) => match self.report(text) {
                Ok(()) => self.words.to_vec(),
                Err(stop) => return Err(ArgumentsError(stop.into_text())),
            },
        };
        if !extras.is_empty()
            && let Err(stop) = self.report(format!("unrecognized arguments: {}", extras.join(" ")))
        {
            return Err(ArgumentsError(stop.into_text()));
        }
        match self.error {
            Some(text) => Err(ArgumentsError(text)),
            None => Ok(self.arguments),
        }
    }

    /// Notes an error, or stops at it.
    fn report(&mut self, text: String) -> Result<(), Stop> {
        match self.parser.errors {
            ErrorStyle::Last => {
                self.error = Some(text);
                Ok(())
            }
            ErrorStyle::FirstWithHelp(help) => Err(Stop::Final(format!("{text}\n{help}"))),
        }
    }

    fn scan(&mut self) -> Result<(), Stop> {
        self.classify()?;
        let last_option = self.found.iter().rposition(Option::is_some);
        let mut at = 0;
        while let Some(last) = last_option
            && at <= last
        {
            let next_option =
                (at..self.words.len()).find(|index| self.found[*index].is_some()).unwrap_or(self.words.len());
            if at != next_option {
                let end = self.take_positionals(at)?;
                if end > at {
                    at = end;
                    continue;
                }
                self.extras.extend_from_slice(&self.words[at..next_option]);
                at = next_option;
            }
            at = self.take_option(at)?;
        }
        let end = self.take_positionals(at)?;
        self.extras.extend_from_slice(&self.words[end..]);
        let missing: Vec<&str> =
            self.waiting.iter().filter(|(_, count)| *count != Count::Optional).map(|(name, _)| *name).collect();
        if !missing.is_empty() {
            self.report(format!("the following arguments are required: {}", missing.join(", ")))?;
        }
        Ok(())
    }

    fn classify(&mut self) -> Result<(), Stop> {
        let mut only_arguments = false;
        for word in self.words {
            let found = if only_arguments || word == "--" { None } else { self.option_in(word)? };
            self.pattern.push(match &found {
                _ if word == "--" && !only_arguments => '-',
                Some(_) => 'O',
                None => 'A',
            });
            only_arguments |= word == "--";
            self.found.push(found);
        }
        Ok(())
    }

    fn named(&self, name: &str) -> Option<OptionSpec> {
        self.parser.options.iter().find(|option| option.name == name).copied()
    }

    /// The option that `word` names, exactly, joined with its value, or abbreviated.
    fn option_in(&mut self, word: &str) -> Result<Option<Found>, Stop> {
        if !word.starts_with('-') || word.len() == 1 {
            return Ok(None);
        }
        if let Some(option) = self.named(word) {
            return Ok(Some(Found { option: Some(option), attached: None }));
        }
        if let Some((name, value)) = word.split_once('=')
            && let Some(option) = self.named(name)
        {
            return Ok(Some(Found { option: Some(option), attached: Some(value.to_owned()) }));
        }
        let mut candidates = self.candidates(word);
        if candidates.len() > 1 {
            let names: Vec<&str> = candidates.iter().filter_map(|found| Some(found.option?.name)).collect();
            self.report(format!("ambiguous option: {word} could match {}", names.join(", ")))?;
        } else if let Some(found) = candidates.pop() {
            return Ok(Some(found));
        }
        if is_negative_number(word) || word.contains(' ') {
            return Ok(None);
        }
        Ok(Some(Found { option: None, attached: None }))
    }

    fn candidates(&self, word: &str) -> Vec<Found> {
        if word.starts_with("--") {
            let (prefix, attached) = match word.split_once('=') {
                Some((prefix, value)) => (prefix, Some(value.to_owned())),
                None => (word, None),
            };
            let matching = self.parser.options.iter().filter(|option| option.name.starts_with(prefix));
            return matching.map(|option| Found { option: Some(*option), attached: attached.clone() }).collect();
        }
        let short_len = 1 + word[1..].chars().next().map_or(0, char::len_utf8);
        let (short, rest) = word.split_at(short_len);
        self.named(short)
            .map(|option| Found { option: Some(option), attached: Some(rest.to_owned()) })
            .into_iter()
            .collect()
    }

    /// Takes the option at `at` with its value, and the flags joined to it; returns where to go on.
    fn take_option(&mut self, at: usize) -> Result<usize, Stop> {
        let Some(Found { option, attached }) = self.found[at].clone() else { return Ok(at + 1) };
        let Some(mut option) = option else {
            self.extras.push(self.words[at].clone());
            return Ok(at + 1);
        };
        let mut taken: Vec<(OptionSpec, Option<String>)> = Vec::new();
        let mut attached = attached;
        let mut end = at + 1;
        loop {
            match (option.kind, attached) {
                (OptionKind::Flag, None) => {
                    taken.push((option, None));
                    break;
                }
                (OptionKind::Flag, Some(text)) => {
                    // Flags joined behind one dash; only short ones can be.
                    let next = if option.name.starts_with("--") { None } else { text.chars().next() };
                    let joined = next.and_then(|letter| self.named(&format!("-{letter}")));
                    let (Some(next), Some(joined)) = (next, joined) else {
                        let text = python_repr(&Value::String(text));
                        return Err(argument_error(option, &format!("ignored explicit argument {text}")));
                    };
                    taken.push((option, None));
                    let rest = &text[next.len_utf8()..];
                    attached = (!rest.is_empty()).then(|| rest.to_owned());
                    option = joined;
                }
                (_, Some(text)) => {
                    taken.push((option, Some(text)));
                    break;
                }
                (_, None) => {
                    if !self.pattern[end..].starts_with('A') {
                        return Err(argument_error(option, "expected one argument"));
                    }
                    taken.push((option, Some(self.words[end].clone())));
                    end += 1;
                    break;
                }
            }
        }
        for (option, value) in taken {
            self.store(option, value)?;
        }
        Ok(end)
    }

    fn store(&mut self, option: OptionSpec, value: Option<String>) -> Result<(), Stop> {
        let Some(value) = value else {
            self.arguments.flags.push(option.name);
            return Ok(());
        };
        // The real parser drops the word `--` from every value and stores an empty list, which then counts as
        // nothing: no text, no number.
        let value = if value == "--" { None } else { Some(value) };
        if option.kind == OptionKind::Text {
            self.arguments.texts.push((option.name, value.unwrap_or_default()));
            return Ok(());
        }
        let text = value.unwrap_or_else(|| "0".to_owned());
        let Some(number) = python_int(&text) else {
            let text = python_repr(&Value::String(text));
            return Err(argument_error(option, &format!("invalid int value: {text}")));
        };
        self.arguments.integers.push((option.name, number));
        Ok(())
    }

    /// Gives the words from `at` on to as many waiting positional arguments as they are enough for; returns where
    /// the words end that were given.
    fn take_positionals(&mut self, at: usize) -> Result<usize, Stop> {
        let waiting = self.waiting;
        for count in (1..=waiting.len()).rev() {
            let (now, later) = waiting.split_at(count);
            let Some(lengths) = match_counts(now, &self.pattern[at..]) else { continue };
            let mut end = at;
            for ((name, _), length) in now.iter().zip(lengths) {
                let mut words = self.words[end..end + length].to_vec();
                if let Some(dashes) = words.iter().position(|word| word == "--") {
                    words.remove(dashes);
                }
                end += length;
                self.arguments.positionals.push((name, words));
            }
            self.waiting = later;
            return Ok(end);
        }
        Ok(at)
    }
}

impl Stop {
    fn into_text(self) -> String {
        match self {
            Self::Argument(text) | Self::Final(text) => text,
        }
    }
}

fn argument_error(option: OptionSpec, problem: &str) -> Stop {
    Stop::Argument(format!("argument {}: {problem}", option.name))
}

/// How many words each of `positionals` takes from the front of `pattern`, the first ones as many as they can.
fn match_counts(positionals: &[(&str, Count)], pattern: &str) -> Option<Vec<usize>> {
    let mut expression = String::from("^");
    for (_, count) in positionals {
        expression.push_str(match count {
            Count::One => "(-*A-*)",
            Count::Optional => "(-*A?-*)",
            Count::OneOrMore => "(-*A[A-]*)",
        });
    }
    let expression = Regex::new(&expression).expect("made of the fixed pieces above");
    let captures = expression.captures(pattern)?;
    Some((1..=positionals.len()).map(|group| captures.get(group).map_or(0, |found| found.len())).collect())
}

/// Such words are arguments, since no parser of the server has an option that looks like a number.
fn is_negative_number(word: &str) -> bool {
    let Some(number) = word.strip_prefix('-') else { return false };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match number.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction) && !fraction.is_empty(),
        None => digits(number) && !number.is_empty(),
    }
}
