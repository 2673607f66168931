//! One HTML page with everything about one or several reports. It needs no network and nothing beside it.

use std::io;

use super::model::Report;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The page about `reports`, a column each.
///
/// # Errors
/// None that a report could cause.
pub fn html(reports: &[Report]) -> io::Result<String> {
    let data = in_script(&serde_json::to_string(reports)?);
    // In one pass: what a report holds is never looked through for marks.
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + data.len());
    let mut rest = PAGE;
    for (mark, content) in [("{{style}}", STYLE), ("{{data}}", data.as_str()), ("{{script}}", SCRIPT)] {
        let (before, after) =
            rest.split_once(mark).ok_or_else(|| io::Error::other(format!("the page has no {mark}")))?;
        page.push_str(before);
        page.push_str(content);
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}

/// JSON that is safe within a script element: nothing in it ends the element or begins a comment, and it stays the same
/// JSON.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_end_the_script() {
        let text = serde_json::to_string("</script><!--&\u{2028}").unwrap();
        let escaped = in_script(&text);
        assert!(!escaped.contains(['<', '>', '&']));
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), "</script><!--&\u{2028}");
    }
}
