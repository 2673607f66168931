//! The argument parser against what the real parsers of nvflare 2.9.0 (Python 3.11) answered.
//!
//! `data/argparse.json` holds `[parser, words, error or null, values or null]`; it was made by handing random words
//! to nvflare's own validators of the shell commands and its parser of `list_jobs`.

use flare_simserver::commands::arguments;
use flare_simserver::core::argparse::{Count, OptionKind, Parser};
use serde_json::{Map, Value, json};

const RECORDED: &str = include_str!("data/argparse.json");

/// Parser, words, error, values.
type Case = (String, Vec<String>, Option<String>, Option<Value>);

#[test]
fn arguments_are_read_and_refused_as_by_the_real_parsers() {
    let cases: Vec<Case> = serde_json::from_str(RECORDED).unwrap();
    assert_eq!(cases.len(), 840);
    for (name, words, error, values) in cases {
        let parser = match name.as_str() {
            "ls" => arguments::LS,
            "cat" => arguments::CAT,
            "head" => arguments::HEAD,
            "tail" => arguments::TAIL,
            "grep" => arguments::GREP,
            "list" => arguments::LIST_JOBS,
            other => panic!("no parser {other}"),
        };
        let (is_error, is_values) = match parser.parse(&words) {
            Ok(parsed) => (None, Some(as_json(&parser, &parsed))),
            Err(refused) => (Some(refused.to_string().replace(arguments::LIST_JOBS_HELP, "<help>")), None),
        };
        let values = values.map(|values| expected(&parser, values));
        assert_eq!((is_error, is_values), (error, values), "{name} {words:?}");
    }
}

/// The value `--` becomes an empty list in Python, which every user of it takes for nothing; and a number that is
/// beyond 64 bits is held to them.
fn expected(parser: &Parser, mut values: Value) -> Value {
    for option in parser.options {
        let key = option.name.trim_start_matches('-').replace('-', "_");
        let Some(value) = values.get_mut(&key) else { continue };
        match option.kind {
            OptionKind::Text if *value == json!([]) => *value = json!(""),
            OptionKind::Integer if *value == json!([]) => *value = json!(0),
            OptionKind::Integer if value.is_f64() => *value = json!(i64::MAX),
            _ => {}
        }
    }
    values
}

/// The values as Python names them: options by their letter or long name, flags only when given.
fn as_json(parser: &Parser, parsed: &flare_simserver::core::argparse::Arguments) -> Value {
    let mut values = Map::new();
    for option in parser.options {
        let key = option.name.trim_start_matches('-').replace('-', "_");
        let value = match option.kind {
            OptionKind::Flag => parsed.flag(option.name).then(|| json!(true)),
            OptionKind::Text => parsed.text(option.name).map(|text| json!(text)),
            OptionKind::Integer => parsed.integer(option.name).map(|number| json!(number)),
        };
        values.extend(value.map(|value| (key, value)));
    }
    for (name, count) in parser.positionals {
        let words = parsed.positional(name);
        // The parser of `ls` calls its one file `files`; the error messages say `file`.
        let key = if *name == "file" { "files" } else { name };
        let value = match count {
            Count::OneOrMore => json!(words),
            Count::One | Count::Optional => match words.first() {
                Some(word) => json!(word),
                None => continue,
            },
        };
        values.insert(key.to_owned(), value);
    }
    Value::Object(values)
}
