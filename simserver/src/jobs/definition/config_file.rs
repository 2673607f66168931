//! Configuration files in an archive: which formats there are, where they are looked for, how they are read.

use std::io::{Read, Seek};

use serde_json::Value;

use crate::jobs::archive::Archive;
use crate::jobs::python::{ExceptionClass, PythonError, decode_utf8, parse_json};

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Hocon,
    Yaml,
}

/// Endings in the order in which they are looked for.
const ENDINGS: [(&str, Format); 8] = [
    (".json", Format::Json),
    (".conf", Format::Hocon),
    (".yml", Format::Yaml),
    (".yaml", Format::Yaml),
    (".json.default", Format::Json),
    (".conf.default", Format::Hocon),
    (".yml.default", Format::Yaml),
    (".yaml.default", Format::Yaml),
];

/// True when there is a configuration file of this name with any ending.
pub(super) fn exists<R: Read + Seek>(archive: &Archive<R>, stem: &str) -> bool {
    ENDINGS.iter().any(|(ending, _)| archive.contains(&format!("{stem}{ending}")))
}

/// Reads the configuration file of this name with the first ending there is; `None` when there is none.
///
/// JSON is read exactly. YAML fails as on a real server without the `omegaconf` package, which a default
/// installation lacks. HOCON, which a real server reads, is refused: no crate for it is well kept, keeps the order of
/// keys and does no IO at the same time.
///
/// # Errors
/// What reading, decoding or parsing raises.
pub fn load<R: Read + Seek>(archive: &mut Archive<R>, stem: &str) -> Result<Option<Value>, PythonError> {
    for (ending, format) in ENDINGS {
        let name = format!("{stem}{ending}");
        if archive.contains(&name) {
            let content = archive.read_config(&name)?;
            return parse(&name, format, &content).map(Some);
        }
    }
    Ok(None)
}

fn parse(name: &str, format: Format, content: &[u8]) -> Result<Value, PythonError> {
    match format {
        Format::Json => parse_json(decode_utf8(content)?),
        Format::Yaml => Err(PythonError::new(
            ExceptionClass::Attribute,
            "'NoneType' object has no attribute 'load_config_from_str'",
        )),
        Format::Hocon => Err(PythonError::new(
            ExceptionClass::NotImplemented,
            format!("the simulated server does not read HOCON: {name}"),
        )),
    }
}
