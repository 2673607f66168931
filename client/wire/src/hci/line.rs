//! Command lines: how a client joins arguments and how a server splits them.
//!
//! Source: `reference/client-api.md` section 3, `reference/server-behaviour.md` section 1 step 2, and the
//! recorded replies `proto.*`.

use std::fmt;

/// Joins `parts` the way the official client (2.8, 2.9) does: one space between parts; a part with white
/// space, `"` or `\` is quoted and those two characters escaped. An empty part becomes nothing at all.
pub fn join_args<I>(parts: I) -> String
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut line = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            line.push(' ');
        }
        push_arg(&mut line, part.as_ref());
    }
    line
}

fn push_arg(line: &mut String, part: &str) {
    if !part.contains(|c: char| is_python_space(c) || c == '"' || c == '\\') {
        line.push_str(part);
        return;
    }
    line.push('"');
    for character in part.chars() {
        if matches!(character, '"' | '\\') {
            line.push('\\');
        }
        line.push(character);
    }
    line.push('"');
}

/// A command line that was split into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The words; the first is the command name. An empty line has one empty word.
    pub words: Vec<String>,
    /// What stands after the first `#` of an unquoted line.
    pub props: Option<String>,
}

impl CommandLine {
    /// The command name, without the scope (`job_mgmt.list_jobs` gives `list_jobs`).
    #[must_use]
    pub fn name(&self) -> &str {
        let full = self.full_name();
        full.split_once('.').map_or(full, |(_, name)| name)
    }

    /// The command name as it was sent.
    #[must_use]
    pub fn full_name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The words after the command name.
    #[must_use]
    pub fn args(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join_args(&self.words))
    }
}

/// Splits `line` as the server does: POSIX shell words when it contains a quote (and plain words when the
/// quoting is broken), else words between spaces, and the text after `#` apart.
#[must_use]
pub fn split_line(line: &str) -> CommandLine {
    if line.contains(['"', '\'']) {
        if let Some(words) = posix_words(line) {
            return CommandLine { words, props: None };
        }
        return CommandLine { words: plain_words(line), props: None };
    }
    match line.split_once('#') {
        Some((command, props)) => {
            CommandLine { words: plain_words(command.trim_matches(is_python_space)), props: Some(props.to_owned()) }
        }
        None => CommandLine { words: plain_words(line.trim_matches(is_python_space)), props: None },
    }
}

/// Python also counts the four ASCII separators as white space, Unicode does not.
fn is_python_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\x1c'..='\x1f')
}

/// Splits at every run of spaces; a run at either end leaves an empty word there.
fn plain_words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if line.starts_with(' ') || words.is_empty() {
        words.insert(0, String::new());
    }
    if line.ends_with(' ') {
        words.push(String::new());
    }
    words
}

/// Words of `line` as a POSIX shell and Python's `shlex.split` find them: quotes group, a backslash escapes outside
/// quotes and, inside double quotes, only
/// before `"` and `\`. `None` when a quote or an escape is not finished.
#[must_use]
pub fn posix_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        match character {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().push(rest.next()?),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '\'' => break,
                        inner => word.push(inner),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '"' => break,
                        '\\' => match rest.next()? {
                            escaped @ ('"' | '\\') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        inner => word.push(inner),
                    }
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        split_line(line).words
    }

    #[test]
    fn arguments_are_quoted_only_when_they_need_it() {
        assert_eq!(join_args(["list_jobs", "-n", "a b\"c\\d"]), r#"list_jobs -n "a b\"c\\d""#);
        assert_eq!(join_args(["grep", "it's", "x"]), "grep it's x");
        assert_eq!(join_args(["a", "", "b"]), "a  b");
    }

    #[test]
    fn lines_without_quotes_split_on_runs_of_spaces() {
        assert_eq!(words("  check_status   server "), ["check_status", "server"]);
        assert_eq!(words("a\tb c"), ["a\tb", "c"]);
        assert_eq!(words(""), [""]);
    }

    #[test]
    fn quotes_group_and_broken_quotes_fall_back() {
        assert_eq!(words(r#"grep server "a b" log.txt"#), ["grep", "server", "a b", "log.txt"]);
        assert_eq!(words(r#"x 'a "b' c\ d"#), ["x", "a \"b", "c d"]);
        assert_eq!(words(r#"x """#), ["x", ""]);
        assert_eq!(words("grep server \"a b log.txt"), ["grep", "server", "\"a", "b", "log.txt"]);
    }

    #[test]
    fn text_after_a_hash_is_apart_in_unquoted_lines() {
        let line = split_line("app_command id topic # {a: 1}");
        assert_eq!((line.words.len(), line.props.as_deref()), (3, Some(" {a: 1}")));
    }

    #[test]
    fn a_scope_is_not_part_of_the_name() {
        let line = split_line("job_mgmt.list_jobs -d");
        assert_eq!((line.name(), line.full_name(), line.args().len()), ("list_jobs", "job_mgmt.list_jobs", 1));
    }
}
