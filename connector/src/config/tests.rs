use std::collections::HashMap;

use super::*;

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let environment = Environment::with_prefix(ENVIRONMENT_PREFIX).prefix_separator("__").separator("__");
    Config::read(text, Path::new(""), environment.source(Some(variables)))
}

fn read(text: &str) -> Result<Config, ConfigError> {
    read_with(text, &[])
}

fn faults(text: &str) -> Vec<String> {
    read(text).unwrap_err().0
}

#[test]
fn nothing_has_to_be_said() {
    let config = read("").unwrap();
    assert_eq!(config.dsp.listen.to_string(), "127.0.0.1:8282");
    assert_eq!(config.management.listen.port(), 8283);
    assert!(config.signaling.public_url.is_none() && config.signaling.tls.is_none());
    assert_eq!(config.database_url.expose_secret(), "sqlite://hansa-data/hansa.db");
    assert!(config.participant_id.is_none() && config.management_token.is_none() && config.warnings.is_empty());
    assert!(config.danger_static_peers.is_empty());
    assert_eq!((config.limits.body_bytes, config.catalog.page_size), (1 << 20, 50));
}

#[test]
fn a_full_file_is_read() {
    let config = read(
        r#"
        participant_id = "did:web:bari.example"
        data_dir = "/var/lib/hansa"
        [dsp]
        listen = "0.0.0.0:8282"
        public_url = "https://hansa.bari.example/"
        danger_plain_http = true
        [signaling]
        token = "0123456789abcdef"
        [delivery]
        give_up_after_s = 3
        [[identity.danger_static_peers]]
        id = "did:web:durres.example"
        accepts_token = "from-durres-012345"
        sends_token = "to-durres-012345"
        claims = { membership = "active", memberSince = 2019, Areas = ["AL01"] }
        "#,
    )
    .unwrap();
    assert_eq!(config.participant_id.as_deref(), Some("did:web:bari.example"));
    assert_eq!(config.dsp.public_url.as_deref(), Some("https://hansa.bari.example"));
    assert_eq!(config.database_url.expose_secret(), "sqlite:///var/lib/hansa/hansa.db");
    assert_eq!(config.delivery.give_up_after_s, 3);
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    let [peer] = config.danger_static_peers.as_slice() else { panic!("one peer") };
    let claims = serde_json::json!({"membership": "active", "memberSince": 2019, "Areas": ["AL01"]});
    assert_eq!(peer.claims, claims, "names and kinds as written");
}

#[test]
fn the_environment_wins_over_the_file() {
    let peers = r#"[{"id":"p","accepts_token":"from-p-0123456789","sends_token":"to-p-0123456789"}]"#;
    let variables = [
        ("HANSA__DSP__LISTEN", "127.0.0.1:1"),
        ("HANSA__PARTICIPANT_ID", "urn:x"),
        ("HANSA__LIMITS__JSON_DEPTH", "32"),
        ("HANSA__PARTNERS__DANGER_ALLOW_PRIVATE_ADDRESSES", "true"),
        ("HANSA__IDENTITY__DANGER_STATIC_PEERS", peers),
        // Neither the other program's settings nor those of the commands are settings of this one.
        ("HANSA_DATAPLANE__PUBLIC__LISTEN", "127.0.0.1:2"),
        ("HANSA_TOKEN", "x"),
    ];
    let config = read_with("[dsp]\nlisten = \"127.0.0.1:9\"", &variables).unwrap();
    assert_eq!(config.dsp.listen.port(), 1);
    assert_eq!(config.participant_id.as_deref(), Some("urn:x"));
    assert_eq!(config.limits.json_depth, 32);
    assert!(config.outbound.danger_allow_private_addresses);
    assert_eq!(config.danger_static_peers.len(), 1);
    let unknown = read_with("", &[("HANSA__DSP__LISTN", "x")]).unwrap_err();
    assert!(unknown.to_string().contains("`dsp.listn`: there is no such setting"), "{unknown}");
}

#[test]
fn all_faults_are_told_at_once() {
    let found = faults(
        r#"
        colour = "blue"
        listen = "127.0.0.1:1"
        participant_id = "a b"
        [dsp]
        listen = "0.0.0.0:8282"
        cert_file = "/nowhere.pem"
        [management]
        listen = "localhost"
        token = "short"
        [signaling]
        token = "0123456789abcdef"
        token_file = "/nowhere"
        public_url = "ftp://x"
        [delivery]
        concurrency = 0
        initial_backoff_ms = "soon"
        give_up_after_s = -1
        [log]
        format = "xml"
        filter = "a=b=c"
        [database]
        url = "mysql://x"
        [partners]
        ca_file = "/nowhere.pem"
        danger_allow_plain_http = "perhaps"
        [[identity.danger_static_peers]]
        id = "x"
        accept_token = "y"
        sends_token = 12345678901234
        "#,
    );
    let text = found.join("\n");
    for part in [
        "`colour`: there is no such setting",
        "`listen`: there is no such setting; is `dsp.listen` meant?",
        "`participant_id`:",
        "`dsp.listen`: plain HTTP outside loopback",
        "`dsp.public_url`: is required",
        "`dsp.key_file`: is missing",
        "`management.listen`: `localhost` must be an IP address and a port",
        "`management.token`: is shorter",
        "`signaling.token`: is set, and so is",
        "`signaling.public_url`: `ftp://x` must be",
        "`delivery.initial_backoff_ms`: `soon` must be a whole number",
        "`delivery.concurrency`: must be at least 1",
        "`delivery.give_up_after_s`: `-1` must be a whole number",
        "`log.format`: must be",
        "`log.filter`: `a=b=c`",
        "`database.url`: must begin",
        "`partners.ca_file`: ",
        "`partners.danger_allow_plain_http`: `perhaps`",
        "peer 1: there is no `accept_token`",
        "peer 1: `accepts_token` is missing",
        "peer 1: `sends_token` must be a text",
    ] {
        assert!(text.contains(part), "{part} not in:\n{text}");
    }
    assert_eq!(found.len(), 21, "{text}");
    assert!(!text.contains("12345678901234") && !text.contains("0123456789abcdef"), "{text}");
}

#[test]
fn every_kind_of_nonsense_is_told_not_panicked_at() {
    for text in [
        "= 1",
        "dsp = 1",
        "[dsp.listen]\nx = 1",
        "data_dir = [1]",
        "[[dsp]]\nlisten = 1",
        "[identity]\ndanger_static_peers = 7",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    for value in ["", "{", "{}", "[1]", "[{}]"] {
        let result = read_with("", &[("HANSA__IDENTITY__DANGER_STATIC_PEERS", value)]);
        assert!(result.is_err(), "{value}");
    }
}

#[test]
fn secrets_come_from_files_and_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "secret-0123456789\n").unwrap();
    let text = format!(
        "[management]\ntoken_file = {path:?}\n[database]\nurl_file = {path:?}\n[[identity.danger_static_peers]]\nid = \"x\"\naccepts_token_file = {path:?}\nsends_token_file = {path:?}\n"
    );
    assert_eq!(faults(&text), ["`database.url`: must begin with `sqlite:` or `postgres:`"]);
    let config = read(&text.replace("[database]\nurl_file", "[signaling]\ntoken_file")).unwrap();
    assert_eq!(config.management_token.as_ref().unwrap().expose_secret(), "secret-0123456789");
    assert_eq!(config.danger_static_peers[0].sends_token.expose_secret(), "secret-0123456789");
    assert!(!format!("{config:?}").contains("secret-0123456789"));
    std::fs::write(&path, " \n").unwrap();
    assert!(faults(&text).iter().any(|fault| fault.contains("is empty")));
}

#[test]
fn what_the_settings_leave_open_is_made_once_and_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a/b");
    let config = read(&format!("data_dir = {data:?}")).unwrap();
    let first = config.installation().unwrap();
    let second = config.installation().unwrap();
    assert!(first.participant_id.starts_with("urn:hansa:"));
    assert_eq!(first.participant_id, second.participant_id);
    assert_eq!(first.signaling_token.expose_secret(), second.signaling_token.expose_secret());
    assert!(first.signaling_token.expose_secret().len() >= 43);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data.join(SIGNALING_FILE)), 0o600);
    assert_eq!(mode(&data), 0o700);
    let named = read(&format!(
        "data_dir = {data:?}\nparticipant_id = \"did:web:a\"\n[signaling]\ntoken = \"0123456789abcdef\""
    ))
    .unwrap();
    let installation = named.installation().unwrap();
    assert_eq!(installation.participant_id, "did:web:a");
    assert_eq!(installation.signaling_token.expose_secret(), "0123456789abcdef");
}

#[test]
fn relative_paths_begin_at_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.token"), "0123456789abcdef\n").unwrap();
    std::fs::write(folder.path().join("x.toml"), "data_dir = \"d\"\n[management]\ntoken_file = \"m.token\"").unwrap();
    let config = Config::load(Some(&folder.path().join("x.toml"))).unwrap();
    assert_eq!(config.data_dir, folder.path().join("d"));
    assert!(config.management_token.is_some());
    let missing = Config::load(Some(&folder.path().join("y.toml"))).unwrap_err();
    assert!(missing.to_string().contains("y.toml"), "{missing}");
}

#[test]
fn a_certificate_must_fit_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pem");
    std::fs::write(&path, "no pem").unwrap();
    let found = faults(&format!("[dsp]\ncert_file = {path:?}\nkey_file = {path:?}"));
    assert!(!found.is_empty() && found.iter().all(|fault| fault.starts_with("`dsp.")), "{found:?}");
}

#[test]
fn a_data_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let config = read(&format!("data_dir = {:?}", file.join("below"))).unwrap();
    assert!(config.installation().unwrap_err().to_string().contains("file/below"));
}

#[test]
fn the_reference_names_every_setting_once() {
    let text = reference();
    for setting in SETTINGS {
        assert_eq!(text.matches(&format!("| `{}`", setting.key)).count(), 1, "{}", setting.key);
        assert_eq!(SETTINGS.iter().filter(|other| other.key == setting.key).count(), 1);
        assert!(setting.meaning.ends_with('.'));
    }
}

#[cfg(not(feature = "vault"))]
#[test]
fn a_secret_store_needs_a_program_that_has_a_client_for_it() {
    let store = "[identity]\nvault_url = \"https://vault.example\"\nvault_token = \"t\"\nvault_key = \"hansa\"\n";
    let [fault] = faults(store).try_into().unwrap();
    assert!(fault.starts_with("`identity.vault_url`") && fault.contains("--features vault"), "{fault}");
}

#[cfg(feature = "vault")]
#[test]
fn a_secret_store_is_named_wholly() {
    let of = |url: &str, more: &str| format!("[identity]\nvault_url = \"{url}\"\n{more}");
    let rest = "vault_token = \"hvs.x\"\nvault_key = \"hansa-1\"\n";
    let vault = read(&of("https://vault.example:8200", rest)).unwrap().identity.vault.unwrap();
    assert_eq!((vault.mount.as_str(), vault.key.as_str(), vault.token_file), ("transit", "hansa-1", None));
    assert!(!format!("{:?}", vault.token).contains("hvs"));
    for local in ["http://127.0.0.1:8200", "http://[::1]:8200", "http://localhost:8200"] {
        assert!(read(&of(local, rest)).is_ok(), "{local}");
    }
    let key = |name: &str| of("https://vault.example", &format!("vault_token = \"t\"\nvault_key = \"{name}\"\n"));
    let mount = |path: &str| of("https://vault.example", &format!("{rest}vault_mount = \"{path}\"\n"));
    assert_eq!(read(&mount("team.a/transit")).unwrap().identity.vault.unwrap().mount, "team.a/transit");
    for (text, said) in [
        (of("https://vault.example", ""), "vault_token`: is missing"),
        (of("https://vault.example", "vault_token = \"t\"\n"), "vault_key`: is missing"),
        (of("http://vault.example", rest), "vault_url`: must be https"),
        (of("https://vault.example/v1", rest), "vault_url`: must be without a path"),
        (of("https://vault.example", "vault_token = \"a b\"\nvault_key = \"k\"\n"), "vault_token`: must be visible"),
        (key("a.b"), "vault_key`: must be"),
        (key("a/b"), "vault_key`: must be"),
        (key(&"a".repeat(49)), "vault_key`: must be"),
        (mount("/transit"), "vault_mount`: must be"),
        (mount("a/../b"), "vault_mount`: must be"),
        (mount("a?b"), "vault_mount`: must be"),
    ] {
        let faults = faults(&text);
        assert!(faults.iter().any(|fault| fault.contains(said)), "{text}: {faults:?}");
    }
}

#[test]
fn a_part_of_a_secret_store_is_none() {
    for part in ["vault_token = \"t\"", "vault_key = \"hansa\""] {
        let faults = faults(&format!("[identity]\n{part}\n"));
        assert!(faults[0].contains("is set only together with `identity.vault_url`"), "{faults:?}");
    }
}
