//! The operator's own rules: a folder of Rego modules of the package `site`, whose set `deny` may close what an agreement opens. They
//! are asked in negotiations, for transfers, for plans of flows and by the monitor, and read again when a file changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use policy::{Reason, Site, SiteInput, SiteModule};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::service::ServiceResult;

/// How often the folder is looked at. A change counts when it has stood still from one look to the next, so that a file that is
/// being written is not read.
const LOOK: Duration = Duration::from_millis(500);
/// What a module is called.
const EXTENSION: &str = "rego";

/// Names, times and sizes of the modules: other ones tell that something has changed.
type Print = Vec<(PathBuf, SystemTime, u64)>;

/// What the folder gives.
#[derive(Clone)]
enum Rules {
    /// No folder is configured, or there is no module in it.
    None,
    /// The modules, compiled, and their names.
    Usable(Arc<Site>, Vec<String>),
    /// They cannot be used, so that nothing is allowed: the module and what is wrong with it.
    Refused(String, String),
}

/// The operator's modules as they are now.
pub(crate) struct SiteModules {
    folder: Option<PathBuf>,
    rules: RwLock<Rules>,
}

impl SiteModules {
    /// Reads the modules of a folder, if one is configured.
    pub(crate) fn open(folder: Option<PathBuf>) -> Self {
        let rules = folder.as_deref().map_or(Rules::None, read);
        Self { folder, rules: RwLock::new(rules) }
    }

    /// Whether there is something that has to be asked.
    pub(crate) fn are_there(&self) -> bool {
        !matches!(self.now(), Rules::None)
    }

    /// What stands against it; nothing when the list is empty.
    pub(crate) fn objections(&self, input: &SiteInput<'_>) -> Vec<Reason> {
        match self.now() {
            Rules::None => Vec::new(),
            Rules::Usable(site, _) => site.objections(input),
            Rules::Refused(module, message) => vec![Reason {
                rule: format!("the operator's module {module}: modules that cannot be used refuse everything"),
                fact: message.clone(),
                sentence: format!("the operator's module {module} cannot be used, so nothing is allowed: {message}"),
            }],
        }
    }

    fn now(&self) -> Rules {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }
}

/// Reads the modules again when they change, until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let Some(folder) = app.site.folder.clone() else { return };
    let mut known = look(&folder).await;
    let mut before = known.clone();
    announce(&app).await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let seen = look(&folder).await;
        if seen == before && seen != known {
            known.clone_from(&seen);
            let place = folder.clone();
            let rules = tokio::task::spawn_blocking(move || read(&place)).await;
            app.site.put(rules.unwrap_or_else(|error| Rules::Refused(shown(&folder), error.to_string())));
            announce(&app).await;
        }
        before = seen;
    }
}

/// Says in the log and in an event how it stands; the monitor looks at running transfers then.
async fn announce(app: &Arc<App>) {
    let (kind, data) = match app.site.now() {
        Rules::None => ("site_modules.loaded", json!({"modules": []})),
        Rules::Usable(_, names) => {
            tracing::info!(modules = %names.join(", "), "the operator's modules are in use");
            ("site_modules.loaded", json!({"modules": names}))
        }
        Rules::Refused(module, message) => {
            tracing::error!(%module, %message, "the operator's modules cannot be used, so nothing is allowed");
            ("site_modules.refused", json!({"module": module, "message": message}))
        }
    };
    if let Err(error) = say(app, kind, data).await {
        tracing::warn!(%error, "the event about the operator's modules could not be written");
    }
}

async fn say(app: &Arc<App>, kind: &'static str, data: Value) -> ServiceResult<()> {
    let context = app.context();
    let subject = app.site.folder.as_deref().map(shown).unwrap_or_default();
    app.store
        .write(move |unit| Box::pin(async move { Ok(unit.event(context, kind.to_owned(), &subject, &data).await?) }))
        .await
}

/// What tells a change; `None` when the folder cannot be read.
async fn look(folder: &Path) -> Option<Print> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || print(&folder).ok()).await.ok().flatten()
}

fn print(folder: &Path) -> std::io::Result<Print> {
    let mut print = Vec::new();
    for path in modules(folder)? {
        let metadata = fs::metadata(&path)?;
        print.push((path, metadata.modified()?, metadata.len()));
    }
    Ok(print)
}

/// The paths of the modules, in the order of their names.
fn modules(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(folder: &Path) -> Rules {
    let sources = modules(folder).and_then(|paths| {
        let read = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            fs::read_to_string(&path).map(|source| SiteModule { name, source })
        };
        paths.into_iter().map(read).collect::<std::io::Result<Vec<_>>>()
    });
    let sources = match sources {
        Ok(sources) if sources.is_empty() => return Rules::None,
        Ok(sources) => sources,
        Err(error) => return Rules::Refused(shown(folder), format!("the folder cannot be read: {error}")),
    };
    match Site::compile(&sources) {
        Ok(site) => Rules::Usable(Arc::new(site), sources.into_iter().map(|module| module.name).collect()),
        Err(error) => Rules::Refused(error.module, error.message),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use policy::{Decision, Facts, Scope};
    use serde_json::json;

    use super::*;

    fn objections(modules: &SiteModules, country: &str) -> Vec<String> {
        let mut facts = Facts::new(0, "did:web:a.example");
        facts.claims = json!({"country": country});
        let decision = Decision {
            allow: true,
            reasons: Vec::new(),
            obligations: Vec::new(),
            duties: Vec::new(),
            valid_until_ms: None,
        };
        let input = SiteInput::new(Scope::Transfer, "use", Some("d"), Some("a"), &facts, &decision);
        modules.objections(&input).into_iter().map(|reason| reason.sentence).collect()
    }

    #[test]
    fn modules_close_and_what_cannot_be_used_closes_everything() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_owned();
        assert!(objections(&SiteModules::open(None), "AL").is_empty());
        let empty = SiteModules::open(Some(at.clone()));
        assert!(!empty.are_there() && objections(&empty, "AL").is_empty());
        let module = "package site\n\nimport rego.v1\n\ndeny contains \"not now\" if input.claims.country == \"AL\"\n";
        fs::write(at.join("country.rego"), module).unwrap();
        fs::write(at.join("README"), "not a module").unwrap();
        let open = SiteModules::open(Some(at.clone()));
        assert!(objections(&open, "AL")[0].contains("not now") && objections(&open, "AL")[0].contains("country.rego"));
        assert!(open.are_there() && objections(&open, "IT").is_empty());
        fs::write(at.join("broken.rego"), "package site\n\ndeny contains").unwrap();
        let broken = objections(&SiteModules::open(Some(at.clone())), "IT");
        assert!(broken[0].contains("broken.rego") && broken[0].contains("nothing is allowed"), "{broken:?}");
        let gone = objections(&SiteModules::open(Some(at.join("none"))), "IT");
        assert!(gone[0].contains("cannot be read"), "{gone:?}");
    }

    #[test]
    fn a_change_shows() {
        let folder = tempfile::tempdir().unwrap();
        let before = print(folder.path()).unwrap();
        fs::write(folder.path().join("a.rego"), "x").unwrap();
        let one = print(folder.path()).unwrap();
        assert!(before.is_empty() && one.len() == 1);
        fs::write(folder.path().join("a.rego"), "xy").unwrap();
        assert_ne!(print(folder.path()).unwrap(), one);
    }
}
