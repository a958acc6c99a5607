//! Datasets of the data plane's own, for control planes that send no enforcement plan.

use std::collections::HashMap;

use policy_plan::{Admission, Source};

use super::reader::Reader;
use super::required_url;

/// Where a dataset lies and what a flow of it admits.
#[derive(Debug, Clone)]
pub struct OwnDataset {
    /// Where its data comes from.
    pub source: Source,
    /// Which requests its flows admit.
    pub admission: Admission,
}

/// Reads the section `datasets`: by the id under which the control plane knows each.
pub(super) fn read(reader: &mut Reader) -> HashMap<String, OwnDataset> {
    let mut found = HashMap::new();
    for name in reader.names("datasets") {
        let key = |member: &str| format!("datasets.{name}.{member}");
        let id = reader.required(&key("id"));
        let paths = reader.text(&key("paths")).unwrap_or_else(|| "/**".to_owned());
        let paths = paths.split(',').map(str::trim).filter(|path| !path.is_empty()).map(str::to_owned).collect();
        let root = reader.text(&key("root"));
        let path = reader.text(&key("path")).unwrap_or_default();
        let credential = reader.text(&key("credential"));
        let has_address = reader.text(&key("base_url")).is_some();
        let source = match (root, has_address) {
            (Some(root), false) => Source::Files { root, path, standing: false },
            (None, true) => {
                let Some(url) = required_url(reader, &key("base_url")) else { continue };
                Source::Http { base_url: url.as_str().trim_end_matches('/').to_owned(), credential }
            }
            _ => {
                reader.fault(&key("base_url"), format!("give either this or `{}`", key("root")));
                continue;
            }
        };
        let admission = Admission { methods: vec!["GET".to_owned(), "HEAD".to_owned()], paths, query: None };
        if found.insert(id, OwnDataset { source, admission }).is_some() {
            reader.fault(&key("id"), "is the id of another dataset, too");
        }
    }
    found
}
