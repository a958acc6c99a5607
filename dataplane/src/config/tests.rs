use secrecy::ExposeSecret;

use super::*;

const SMALLEST: &str = r#"
id = "dp-bari"
[control_plane]
url = "http://127.0.0.1:8284"
token = "0123456789abcdef"
"#;

fn faults(text: &str) -> Vec<String> {
    Config::from_toml(text).unwrap_err().0
}

#[test]
fn the_smallest_file_is_enough_on_loopback() {
    let config = Config::from_toml(SMALLEST).unwrap();
    assert_eq!(config.public.public_url, "http://127.0.0.1:8290");
    assert_eq!(config.local.address.port(), 8292);
    assert!(!config.partners.danger_allow_private_addresses);
    assert!(config.workers > 0);
}

#[test]
fn all_faults_are_told_at_once() {
    let found = faults(
        r#"
        colour = "blue"
        workers = "many"
        [public]
        listen = "0.0.0.0:8290"
        cert_file = "/nowhere.pem"
        [control_plane]
        token = "short"
        [file_roots]
        x = "/nowhere/at/all"
        "#,
    );
    let text = found.join("\n");
    for key in [
        "`colour`: there is no such setting",
        "`workers`: must be a number",
        "`id`: is missing",
        "`public.listen`: plain HTTP outside loopback",
        "`public.public_url`: is required",
        "`public.key_file`: is missing",
        "`control_plane.url`: is missing",
        "`control_plane.token`: is shorter",
        "`file_roots.x`: cannot open",
    ] {
        assert!(text.contains(key), "{key} not in:\n{text}");
    }
}

#[test]
fn outside_loopback_needs_an_explicit_word() {
    let text = format!(
        "{SMALLEST}\n[local]\nlisten = \"0.0.0.0:8292\"\npublic_url = \"http://dp:8292\"\ndanger_plain_http = true"
    );
    assert_eq!(faults(&text), ["`local.token`: is required when the listener is not on loopback"]);
    assert!(Config::from_toml(&format!("{text}\ntoken = \"reader\"")).is_ok());
}

#[test]
fn credentials_are_read_and_not_shown() {
    let text = format!(
        "{SMALLEST}\n[credentials.broker]\nurl_prefix = \"http://broker:1026/\"\nauthorization = \"Bearer SECRET\""
    );
    let config = Config::from_toml(&text).unwrap();
    let credential = &config.credentials["broker"];
    assert_eq!(credential.authorization.as_ref().unwrap(), "Bearer SECRET");
    let shown = format!("{config:?}");
    assert!(!shown.contains("SECRET") && !shown.contains("0123456789abcdef"), "{shown}");
}

#[test]
fn a_secret_comes_from_a_file_too_but_not_from_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "0123456789abcdef\n").unwrap();
    let both = format!("{SMALLEST}token_file = {path:?}");
    assert_eq!(faults(&both).len(), 2, "said once for the pair and once as missing");
    let file = both.replace("token = \"0123456789abcdef\"\n", "");
    let read = Config::from_toml(&file).unwrap().control_plane_authorization;
    assert!(matches!(read, Authorization::Secret(token) if token.expose_secret() == "0123456789abcdef"));
}

#[test]
fn the_reference_names_every_setting() {
    let text = reference();
    for setting in SETTINGS {
        assert!(text.contains(&format!("| `{}` |", setting.key)));
    }
}

/// The smallest file with `section` instead of the secret.
fn without_secret(section: &str) -> String {
    SMALLEST.replace("token = \"0123456789abcdef\"\n", section)
}

#[test]
fn one_way_to_authenticate_is_chosen() {
    let oauth2 = "id = \"cp\"\n[control_plane.oauth2]\ntoken_endpoint = \"https://t.example/token\"\nclient_id = \"dp\"\n\
        client_secret = \"s\"\njwks_uri = \"https://t.example/jwks\"\n";
    let read = Config::from_toml(&without_secret(oauth2)).unwrap();
    let Authorization::OAuth2(tokens) = &read.control_plane_authorization else { panic!() };
    assert_eq!((tokens.theirs.subject.as_str(), tokens.theirs.audience.as_str()), ("cp", "dp-bari"));
    assert!(!format!("{tokens:?}").contains("\"s\""), "the secret is not shown");
    for (section, fault) in [
        ("", "`control_plane.token`: is missing"),
        (&format!("token = \"0123456789abcdef\"\n{oauth2}"), "`control_plane.token`: excludes"),
        (&oauth2.replace("id = \"cp\"\n", ""), "`control_plane.id`: is missing"),
        (&oauth2.replace("https://t.example/token", "http://t.example/token"), "token_endpoint`: gets a secret"),
        (&oauth2.replace("client_secret = \"s\"\n", ""), "client_secret`: is missing"),
        (&oauth2.replace("jwks_uri = \"https://t.example/jwks\"", ""), "jwks_uri`: or `jwks_file` is needed"),
        (
            &oauth2.replace("jwks_uri = \"https://t.example/jwks\"", "jwks_file = \"/nowhere\""),
            "jwks_file`: `/nowhere`",
        ),
        (&oauth2.replace("oauth2]", "exchange]"), "`control_plane.exchange.issuer`: is missing"),
    ] {
        let found = faults(&without_secret(section)).join("\n");
        assert!(found.contains(fault), "{fault} not in:\n{found}");
    }
    let danger = oauth2.replace("id = \"cp\"", "id = \"cp\"\ndanger_unverified_tokens = true");
    let danger = danger.replace("jwks_uri = \"https://t.example/jwks\"", "");
    assert!(Config::from_toml(&without_secret(&danger)).is_ok());
}
