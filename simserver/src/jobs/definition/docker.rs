//! The options that a job may give to the Docker launcher.

use flare_wire::hci::python_repr;
use serde_json::Value;

use crate::jobs::python::PythonError;

/// In alphabetical order.
const OPTIONS: [&str; 5] = ["entrypoint", "image", "num_of_gpus", "python_path", "shm_size"];

/// Docker counts in signed 64-bit numbers.
const MAX_SIZE: f64 = 9_223_372_036_854_775_807.0;

/// Checks one block of options; `label` says where it stands.
pub(super) fn check(spec: &Value, label: &str) -> Result<(), PythonError> {
    let Value::Object(spec) = spec else { return Err(PythonError::value(format!("{label} must be a dict"))) };
    let mut unknown: Vec<&str> = spec.keys().map(String::as_str).filter(|key| !OPTIONS.contains(key)).collect();
    if !unknown.is_empty() {
        unknown.sort_unstable();
        return Err(PythonError::value(format!(
            "{label} contains unsupported job-controlled Docker option(s) {}; allowed options: {}",
            python_repr(&unknown.into_iter().collect()),
            python_repr(&OPTIONS.into_iter().collect())
        )));
    }
    for (option, value) in spec {
        if let Some(problem) = problem(option, value) {
            return Err(PythonError::value(format!("{label} field '{option}' {problem}")));
        }
    }
    Ok(())
}

fn problem(option: &str, value: &Value) -> Option<&'static str> {
    let filled = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    let (fits, problem) = match option {
        "image" => (value.is_null() || value.is_string(), "must be a string or null"),
        "python_path" => (filled(value), "must be a non-empty string"),
        "entrypoint" => (
            filled(value) || value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(filled)),
            "must be a non-empty string or a non-empty list of non-empty strings",
        ),
        "num_of_gpus" => (value.is_u64(), "must be an integer greater than or equal to 0"),
        _ => (
            value.as_u64().is_some_and(|size| i64::try_from(size).is_ok()) || value.as_str().is_some_and(is_size),
            "must be a non-negative integer or decimal byte-size string within Docker's signed 64-bit limit",
        ),
    };
    (!fits).then_some(problem)
}

/// `64m`, `1.5GB`, `100b`.
fn is_size(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let (amount, unit) = [('k', 1024.0), ('m', 1_048_576.0), ('g', 1_073_741_824.0)]
        .into_iter()
        .find_map(|(letter, unit)| Some((text.strip_suffix(letter)?, unit)))
        .unwrap_or((text, 1.0));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = match amount.split_once('.') {
        Some((whole, fraction)) => is_number(whole) && is_number(fraction),
        None => is_number(amount),
    };
    well_formed && amount.parse::<f64>().is_ok_and(|amount| amount * unit < MAX_SIZE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_are_judged_one_by_one() {
        assert_eq!(check(&json!({"image": null, "shm_size": "1.5GB", "entrypoint": ["a"]}), "here"), Ok(()));
        for (spec, text) in [
            (json!([]), "here must be a dict"),
            (
                json!({"privileged": true, "a": 1}),
                "here contains unsupported job-controlled Docker option(s) ['a', 'privileged']; allowed options: \
                 ['entrypoint', 'image', 'num_of_gpus', 'python_path', 'shm_size']",
            ),
            (json!({"python_path": " "}), "here field 'python_path' must be a non-empty string"),
            (
                json!({"shm_size": "64x"}),
                "here field 'shm_size' must be a non-negative integer or decimal byte-size string within Docker's \
                 signed 64-bit limit",
            ),
        ] {
            assert_eq!(check(&spec, "here").unwrap_err().text, text);
        }
    }
}
