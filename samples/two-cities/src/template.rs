//! Filling the templates of this sample: `{{name}}` stands for a value.

use std::path::Path;

use crate::fault::Fault;

/// Replaces every name by its value.
///
/// # Errors
/// When a name without a value is left.
pub fn filled(template: &str, values: &[(&str, String)]) -> Result<String, Fault> {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    match text.split_once("{{") {
        Some((_, rest)) => {
            let name = rest.split("}}").next().unwrap_or_default();
            Err(Fault::new(format!("a template has the name `{name}`, which has no value")))
        }
        None => Ok(text),
    }
}

/// Fills a template into a file.
///
/// # Errors
/// As [`filled`], or when the file cannot be written.
pub fn write(path: &Path, template: &str, values: &[(&str, String)]) -> Result<(), Fault> {
    std::fs::write(path, filled(template, values)?).map_err(|error| Fault::file(path, &error))
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn names_are_replaced_and_forgotten_ones_are_found() {
        assert_eq!(filled("a = \"{{x}}\", {{x}}", &[("x", "1".to_owned())]).unwrap(), "a = \"1\", 1");
        assert!(filled("{{y}}", &[("x", "1".to_owned())]).unwrap_err().to_string().contains("`y`"));
    }
}
