//! GNU `getopt` for short options: options and other words in any order, `--` ends the options.

/// Options and operands of a program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The options in the order of the command line, with their values.
    pub(super) given: Vec<(char, Option<String>)>,
    /// The other words.
    pub(super) operands: Vec<String>,
}

/// What `getopt` does not accept: this letter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidOption(pub(super) char);

impl InvalidOption {
    /// The complaint of `program`, whose hint may be preceded by a line on its usage.
    pub(super) fn complaint(&self, program: &str, usage: &str) -> Vec<u8> {
        format!("{program}: invalid option -- '{}'\n{usage}Try '{program} --help' for more information.\n", self.0)
            .into_bytes()
    }
}

impl Options {
    /// Sorts `words`: letters of `flags` take nothing, letters of `valued` the rest of the word or the next word.
    pub(super) fn parse(words: &[String], flags: &str, valued: &str) -> Result<Self, InvalidOption> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                options.operands.extend(words.cloned());
                break;
            }
            let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
                options.operands.push(word.clone());
                continue;
            };
            for (at, letter) in letters.char_indices() {
                if valued.contains(letter) {
                    let rest = &letters[at + letter.len_utf8()..];
                    let value = if rest.is_empty() { words.next().cloned() } else { Some(rest.to_owned()) };
                    options.given.push((letter, Some(value.unwrap_or_default())));
                    break;
                }
                if !flags.contains(letter) {
                    return Err(InvalidOption(letter));
                }
                options.given.push((letter, None));
            }
        }
        Ok(options)
    }

    /// True when the flag was given.
    pub(super) fn has(&self, flag: char) -> bool {
        self.given.iter().any(|(letter, _)| *letter == flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, InvalidOption> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Options::parse(&words, "ab", "n")
    }

    #[test]
    fn options_and_operands_may_be_mixed() {
        let options = parse("x -an3 - -b -- -y").unwrap();
        assert_eq!(options.given, [('a', None), ('n', Some("3".into())), ('b', None)]);
        assert_eq!(options.operands, ["x", "-", "-y"]);
    }

    #[test]
    fn an_unknown_letter_is_refused() {
        assert_eq!(parse("-a=b"), Err(InvalidOption('=')));
    }
}
