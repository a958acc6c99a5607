//! `hansa init`: a folder with settings and secrets, ready to serve.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use dsp_protocol::pid::ParticipantId;
use url::Url;

use super::arguments::Init;
use super::failure::{Failure, Outcome};
use super::show;
use crate::config::{DEFAULT_FILE, SIGNALING_FILE, make_folder, new_secret, write_private};

const DATA_DIR: &str = "hansa-data";
const MANAGEMENT_FILE: &str = "management.token";
const DATA_PLANE_FILE: &str = "hansa-dataplane.toml";
/// Where the first port of the data plane is, counted from the first port of all.
const DATA_PLANE_PORTS: u16 = 8;
/// The first port when none is named.
pub(super) const DEFAULT_PORT: u16 = 8282;

/// Prepares a folder. Nothing that is there is overwritten.
///
/// # Errors
/// When a file is there already or cannot be written, or an option cannot be used.
pub(super) fn init(options: &Init) -> Outcome {
    let id = participant_id(options)?;
    for url in [&options.public_url, &options.data_url].into_iter().flatten() {
        check_url(url)?;
    }
    let data = options.dir.join(DATA_DIR);
    let files = [
        (options.dir.join(DEFAULT_FILE), control_plane(options, &id)),
        (options.dir.join(DATA_PLANE_FILE), data_plane(options)),
        (data.join(MANAGEMENT_FILE), new_secret() + "\n"),
        (data.join(SIGNALING_FILE), new_secret() + "\n"),
    ];
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(Failure::new(format!("`{}` is there already; nothing was written", path.display())));
    }
    for folder in [&options.dir, &data] {
        make_folder(folder).map_err(|error| Failure::new(error.to_string()))?;
    }
    for (path, text) in &files {
        write_private(path, text).map_err(|error| failed(path, &error))?;
    }
    show::text(&advice(options, &id))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write `{}`: {error}", path.display()))
}

fn participant_id(options: &Init) -> Outcome<String> {
    let Some(id) = &options.participant_id else { return Ok(format!("urn:hansa:{}", uuid::Uuid::new_v4())) };
    match ParticipantId::parse(id.as_str()) {
        Ok(_) if !id.contains(['"', '\\']) => Ok(id.clone()),
        Ok(_) => Err(Failure::new("the participant id must not hold quotes and backslashes")),
        Err(error) => Err(Failure::new(format!("`{id}` cannot be a participant id: {error}"))),
    }
}

fn check_url(text: &str) -> Outcome {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.query().is_none() && !text.contains(['"', '\\']) => {
            Ok(())
        }
        _ => Err(Failure::new(format!("`{text}` is not an http or https address"))),
    }
}

fn control_plane(options: &Init, id: &str) -> String {
    let [dsp, management, signaling] = [0, 1, 2].map(|offset| options.port + offset);
    let public = options.public_url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{dsp}"));
    format!(
        r#"# Settings of the control plane. `hansa config reference` explains all of them.
# Paths begin at the folder of this file.

participant_id = "{id}"
data_dir = "{DATA_DIR}"

# The Dataspace Protocol, for partners.
[dsp]
listen = "127.0.0.1:{dsp}"
public_url = "{public}"

# The management API, for you.
[management]
listen = "127.0.0.1:{management}"
token_file = "{DATA_DIR}/{MANAGEMENT_FILE}"

# For our own data planes.
[signaling]
listen = "127.0.0.1:{signaling}"
token_file = "{DATA_DIR}/{SIGNALING_FILE}"

# Partners that are known by a token; for demonstrations and closed trials. `openssl rand -hex 32` makes one.
# [[identity.danger_static_peers]]
# id = "did:web:partner.example"
# accepts_token = "what the partner sends to us"
# sends_token = "what we send to the partner"
# claims = {{ membership = "active" }}
"#
    )
}

fn data_plane(options: &Init) -> String {
    let [public, signaling, local] = [0, 1, 2].map(|offset| options.port + DATA_PLANE_PORTS + offset);
    let control_plane = options.port + 2;
    let data_url = options.data_url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{public}"));
    format!(
        r#"# Settings of the data plane. `hansa-dataplane config reference` explains all of them.
# Start it in this folder.

id = "data-plane"
data_dir = "hansa-dataplane-data"

# For partners that read our data.
[public]
listen = "127.0.0.1:{public}"
public_url = "{data_url}"

# For the control plane.
[signaling]
listen = "127.0.0.1:{signaling}"

# For our own programs that read partners' data.
[local]
listen = "127.0.0.1:{local}"

[control_plane]
url = "http://127.0.0.1:{control_plane}"
token_file = "{DATA_DIR}/{SIGNALING_FILE}"

# An HTTP API with data, and what it asks for. Datasets name it: hansa dataset add --http URL --credential broker
# [credentials.broker]
# url_prefix = "http://127.0.0.1:1026/"
# authorization_file = "broker.authorization"

# Folders with data. Datasets name them: hansa dataset add --file open-data/FILE
# [file_roots]
# open-data = "/srv/open-data"
"#
    )
}

fn advice(options: &Init, id: &str) -> String {
    let mut steps = Vec::new();
    if options.dir != Path::new(".") {
        steps.push((format!("cd {}", options.dir.display()), ""));
    }
    steps.push(("hansa serve".to_owned(), "the control plane"));
    steps.push((format!("hansa-dataplane --config {DATA_PLANE_FILE}"), "the data plane, in a second terminal"));
    if options.port != DEFAULT_PORT {
        steps.push((format!("export HANSA_URL=http://127.0.0.1:{}", options.port + 1), "where commands go"));
    }
    steps.push(("hansa status".to_owned(), "in a third terminal"));
    let mut text = format!("{id} is ready in {}. Next:\n\n", options.dir.display());
    for (command, meaning) in steps {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", format!("  {command:<48}{meaning}").trim_end());
    }
    let _ =
        writeln!(text, "\nThe token of the management API is in {DATA_DIR}/{MANAGEMENT_FILE}; only you can read it.");
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::Config;

    fn options(dir: &Path) -> Init {
        Init {
            dir: dir.to_owned(),
            participant_id: Some("did:web:bari.example".into()),
            port: 9000,
            public_url: Some("https://hansa.bari.example".into()),
            data_url: None,
        }
    }

    #[test]
    fn what_is_written_can_be_served() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("bari");
        init(&options(&dir)).unwrap();
        let config = Config::load(Some(&dir.join(DEFAULT_FILE))).unwrap();
        assert_eq!(config.participant_id.as_deref(), Some("did:web:bari.example"));
        assert_eq!(config.signaling.listen.port(), 9002);
        assert_eq!(config.data_dir, dir.join(DATA_DIR));
        assert!(config.management_token.unwrap().expose_secret().len() >= 43);
        for path in ["hansa.toml", "hansa-dataplane.toml", "hansa-data/management.token", "hansa-data/signaling.token"]
        {
            let mode = std::fs::metadata(dir.join(path)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{path}");
        }
        let plane: toml::Table = std::fs::read_to_string(dir.join(DATA_PLANE_FILE)).unwrap().parse().unwrap();
        assert_eq!(plane["control_plane"]["url"].as_str(), Some("http://127.0.0.1:9002"));
        assert_eq!(plane["public"]["listen"].as_str(), Some("127.0.0.1:9008"));
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        init(&options(folder.path())).unwrap();
        let before = std::fs::read(folder.path().join("hansa-data/management.token")).unwrap();
        let failure = init(&options(folder.path())).unwrap_err().to_string();
        assert!(failure.contains("is there already"), "{failure}");
        assert_eq!(std::fs::read(folder.path().join("hansa-data/management.token")).unwrap(), before);
    }

    #[test]
    fn options_that_cannot_be_used_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let good = options(folder.path());
        for id in ["", "a b", "a\"b", "a\nb"] {
            assert!(init(&Init { participant_id: Some(id.into()), ..options(folder.path()) }).is_err(), "{id}");
        }
        for url in ["x", "ftp://x", "http://x/?a", "http://x/\"\n[y]"] {
            assert!(init(&Init { public_url: Some(url.into()), ..options(folder.path()) }).is_err(), "{url}");
        }
        assert!(!good.dir.join(DEFAULT_FILE).exists());
        assert!(init(&Init { participant_id: None, public_url: None, ..good }).is_ok());
    }
}
