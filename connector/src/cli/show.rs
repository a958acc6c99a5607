//! Output: tables and fields for people, JSON for scripts.

use std::io::{self, Write as _};

use serde_json::Value;

use super::failure::{Failure, Outcome};

/// Prints in the way that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Printer {
    /// JSON instead of text.
    pub json: bool,
}

/// A column of a table: its head and the JSON pointer of its value.
pub(super) type Column = (&'static str, &'static str);

impl Printer {
    /// A list, as a table or as `{"items": [..], "next": ..}`.
    pub(super) fn list(self, list: &Value, columns: &[Column], none: &str) -> Outcome {
        if self.json {
            return self.value(list);
        }
        let items = list.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if items.is_empty() {
            return text(&format!("{none}\n"));
        }
        let more = list.get("next").is_some_and(|next| !next.is_null());
        let mut shown = table(items, columns);
        if more {
            shown.push_str("… and more; --limit shows them\n");
        }
        text(&shown)
    }

    /// One thing, field by field.
    pub(super) fn item(self, item: &Value) -> Outcome {
        if self.json { self.value(item) } else { text(&fields(item, 0)) }
    }

    /// What was done, or for scripts the thing it was done to.
    pub(super) fn done(self, what: &str, item: &Value) -> Outcome {
        if self.json { self.value(item) } else { text(&format!("{}\n", printable(what))) }
    }

    /// JSON.
    pub(super) fn value(self, value: &Value) -> Outcome {
        let shown = serde_json::to_string_pretty(value).map_err(|error| Failure::new(error.to_string()))?;
        text(&format!("{shown}\n"))
    }
}

/// Writes to standard output; a reader that has seen enough is no failure.
pub(super) fn text(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Text that others wrote must not steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// A table with a head; columns are as wide as their widest cell.
fn table(items: &[Value], columns: &[Column]) -> String {
    let head = columns.iter().map(|(name, _)| name.to_uppercase()).collect();
    let body = items.iter().map(|item| columns.iter().map(|(_, pointer)| cell(item.pointer(pointer))).collect());
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let mut shown = String::new();
    for row in rows {
        let padded: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        shown.push_str(padded.join("  ").trim_end());
        shown.push('\n');
    }
    shown
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| cell(Some(item))).collect();
            items.join(", ")
        }
        Some(value) => plain(value).replace('\n', " "),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// The members of an object, one in a line; nested objects indented below.
fn fields(item: &Value, depth: usize) -> String {
    let Value::Object(members) = item else { return format!("{}\n", plain(item)) };
    let width = members.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut shown = String::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let name = printable(name);
        let indent = "  ".repeat(depth);
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                shown.push_str(&format!("{indent}{name}\n{}", fields(value, depth + 1)));
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                shown.push_str(&format!("{indent}{name}\n"));
                for item in items {
                    let inner = fields(item, depth + 2);
                    let marked = inner.replacen(&"  ".repeat(depth + 2), &format!("{}- ", "  ".repeat(depth + 1)), 1);
                    shown.push_str(&marked);
                }
            }
            value => shown.push_str(&format!("{indent}{name:<width$}  {}\n", cell(Some(value)))),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_are_aligned() {
        let items = [
            json!({"id": "urn:a", "state": "OFFERED", "next": ["accept", "terminate"]}),
            json!({"id": "urn:long", "state": null, "error": {"code": "x"}}),
        ];
        let shown = table(&items, &[("id", "/id"), ("state", "/state"), ("error", "/error/code"), ("next", "/next")]);
        assert_eq!(
            shown,
            "ID        STATE    ERROR  NEXT\n\
             urn:a     OFFERED  -      accept, terminate\n\
             urn:long  -        x      -\n"
        );
    }

    #[test]
    fn v5_16_4_1_names_of_partners_do_not_steer_the_terminal() {
        let shown = table(&[json!({"t": "a\u{1b}]0;x\u{7}\nb"})], &[("t", "/t")]);
        assert_eq!(shown, "T\na\u{fffd}]0;x\u{fffd} b\n");
        assert!(!fields(&json!({"t\u{1b}": {"u": "\u{9b}1m"}}), 0).contains(['\u{1b}', '\u{9b}']));
    }

    #[test]
    fn fields_are_shown_in_their_order() {
        let item = json!({
            "id": "x", "gone": null, "list": ["a", "b"], "empty": {},
            "source": {"http": {"baseUrl": "http://b"}},
            "rules": [{"action": "use", "n": 1.5}, {"action": "read"}]
        });
        assert_eq!(
            fields(&item, 0),
            "id      x\n\
             list    a, b\n\
             empty   {}\n\
             source\n\x20 http\n\x20   baseUrl  http://b\n\
             rules\n\x20 - action  use\n\x20   n       1.5\n\x20 - action  read\n"
        );
    }
}
