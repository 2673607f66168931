//! What users see of Python in the server's replies: texts of exceptions, of JSON errors, of times and durations.

mod exception;
mod json;
mod number;
mod text;
mod time;

pub use exception::{ExceptionClass, PythonError};
pub use json::{MAX_DEPTH, parse_json};
pub use number::python_int;
pub use text::{decode_utf8, is_truthy, set_repr, to_text, type_name};
pub use time::{iso_local, iso_utc, local_micros, local_seconds, moment_of_iso, timedelta};
