use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<Command, String> {
    let words = std::iter::once("hansa").chain(line.split(' '));
    Arguments::try_parse_from(words).map(|arguments| arguments.command).map_err(|error| error.to_string())
}

#[test]
fn the_definition_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn no_command_hides_an_option_of_the_connection() {
    fn check(command: &clap::Command, global: &[&str]) {
        for inner in command.get_subcommands() {
            for argument in inner.get_arguments() {
                assert!(!global.contains(&argument.get_id().as_str()), "{} {}", inner.get_name(), argument.get_id());
            }
            check(inner, global);
        }
    }
    let command = Arguments::command();
    let global: Vec<&str> = command.get_arguments().map(|argument| argument.get_id().as_str()).collect();
    assert!(global.contains(&"url"), "{global:?}");
    check(&command, &global);
}

#[test]
fn options_of_the_connection_stand_before_or_after_the_command() {
    for line in ["--json --url http://h:1 status", "status --url http://h:1 --json"] {
        let arguments = Arguments::try_parse_from(std::iter::once("hansa").chain(line.split(' '))).unwrap();
        assert!(arguments.connection.json && arguments.connection.url == "http://h:1", "{line}");
    }
}

#[test]
fn a_transfer_is_begun_with_an_agreement_or_worked_with() {
    let Ok(Command::Transfer(begun)) = parse("transfer urn:uuid:1 --manual") else { panic!("begins") };
    assert_eq!(begun.agreement.as_deref(), Some("urn:uuid:1"));
    assert!(begun.command.is_none() && begun.options.manual);
    let Ok(Command::Transfer(begun)) = parse("transfer suspend urn:uuid:1 --reason tired") else { panic!("works") };
    let Some(TransferCommand::Suspend(what)) = begun.command else { panic!("suspends") };
    assert_eq!((what.id.as_str(), what.reason.as_deref()), ("urn:uuid:1", Some("tired")));
    assert!(parse("transfer").is_err());
}

#[test]
fn lines_that_people_type() {
    for line in [
        "get bari urn:d --path /x?y=z -o file.json",
        "get bari urn:d",
        "negotiate bari urn:d",
        "negotiate bari --offer urn:o --provider --no-wait",
        "negotiate bari --offer-file offer.json --manual",
        "negotiation accept urn:n",
        "negotiation counter urn:n --file offer.json",
        "negotiations --state FINALIZED --partner bari",
        "transfer list --role provider",
        "agreement list",
        "policy add policy.json",
        "policy add --file policy.json",
        "policy add --id open --permit use",
        "policy check policy.ttl --strict",
        "policy eval",
        "policy eval case.json --json",
        "policy explain urn:p --partner bari",
        "policy explain --agreement urn:uuid:1 --at 2027-01-01T00:00:00Z",
        "policy simulate p.json --partner did:web:b --purpose urn:r --claims c.json --event urn:e --count 3",
        "policy diff urn:p new.json --since 7d --dataset urn:d",
        "policy template list --language it",
        "policy template show until-date",
        "policy template use until-date --set until=2027-12-31 --id urn:p",
        "policy add --permit use --where a --where b --prohibit sell",
        "dataset add dataset.json --replace",
        "dataset add --id d --title t --http http://b --credential c --path /x/** --keyword air",
        "dataset add --title t --file root/a/b.csv",
        "offer add --dataset d --policy p --access-policy a --manual",
        "partner add did:web:x --name x --root https://x",
        "partner add did:web:x --base https://x/dsp/2025-1",
        "data-plane add x --endpoint http://x --danger-no-authorization",
        "webhook add http://x --event transfer.*",
        "events -f --type transfer.*",
        "config reference",
        "completions bash",
        "init --dir x --participant-id did:web:x",
        "serve --config x.toml",
        "identity init --did did:web:x --algorithm EdDSA --config x.toml",
        "identity init",
        "identity show",
        "identity rotate --algorithm ES384 --keep-days 30",
        "identity rotate --keep-until 2027-01-31T12:00:00Z",
        "identity revoke key-1",
        "identity export --keys -o keys.json",
        "credential request did:web:x Membership Port --no-wait",
        "credential requests --state rejected",
        "credential offers",
        "credential list --type Membership --state pending",
        "credential show x",
        "credential verify - --holder did:web:x",
        "credential accept x",
        "credential remove x",
        "credential revoke urn:uuid:x --reason ended",
        "issuance list --state received",
        "issuance issued --holder did:web:x",
        "issuance approve x",
        "issuance reject x --reason no",
        "trust list",
        "trust add did:web:x --type A --type B --claim c",
        "trust remove did:web:x",
        "doctor bari",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
    }
}

#[test]
fn lines_that_make_no_sense_are_refused() {
    for line in [
        "negotiate bari",
        "negotiate bari d --provider",
        "policy add",
        "policy check",
        "policy explain",
        "policy explain urn:p --agreement urn:a",
        "policy simulate p.json --scope always",
        "policy diff urn:p",
        "policy template use",
        "policy add p.json --permit use",
        "policy add --where x",
        "dataset add",
        "dataset add d.json --title t",
        "dataset add --http http://x --file a/b",
        "partner add did:web:x",
        "partner add did:web:x --root https://x --base https://y",
        "offer add --dataset d",
        "webhook add http://x",
        "status --token secret",
        "get bari",
        "identity",
        "identity init --algorithm RS256",
        "identity rotate --keep-days 1 --keep-until 2027-01-31T12:00:00Z",
        "identity rotate --keep-days -1",
        "credential request did:web:x",
        "credential verify",
        "credential list --state lost",
        "trust add did:web:x",
        "doctor",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn lines_about_terms() {
    for line in [
        "declared-event declare urn:event:flood --title Flood --until 2026-11-22T00:00:00Z",
        "declared-event end urn:event:flood",
        "declared-event list",
        "consent add --subject p-4711 --dataset urn:d --recipient did:web:a --purpose https://w3id.org/dpv#Research",
        "consent withdraw urn:consent:1",
        "consent list --subject p-4711",
        "duty list --state due --role consumer --partner bari",
        "duty fulfil urn:uuid:1 --note deleted",
        "duty violate urn:uuid:1",
        "decision list --scope monitor --partner bari --limit 5",
        "decision show urn:uuid:1",
    ] {
        assert!(parse(line).is_ok(), "{line}: {:?}", parse(line));
    }
    for line in ["declared-event declare", "consent add", "duty list --state done"] {
        assert!(parse(line).is_err(), "{line}");
    }
}
