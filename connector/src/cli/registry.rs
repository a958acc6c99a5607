//! Datasets, policies, offers, partners, data planes and webhooks: add, list, show, remove.

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::arguments::{
    DataPlaneCommand, DatasetCommand, NewDataPlane, NewDataset, NewOffer, NewPartner, NewPolicy, NewWebhook,
    OfferCommand, PartnerCommand, PolicyCommand, WebhookCommand,
};
use super::client::{Client, read_object, read_secret, text};
use super::failure::{Failure, Outcome};
use super::partner;
use super::policy;
use super::policy_tools;
use super::show::{Column, Printer};
use crate::service::dataset;

/// The profile of a pull over HTTP.
const HTTP_PULL: &str = "https://w3id.org/dspace-sig/profile/http-pull";

/// A kind of thing: its name for people and in addresses, and the columns of its list.
struct Kind {
    name: &'static str,
    path: &'static str,
    columns: &'static [Column],
}

const DATASETS: Kind = Kind {
    name: "dataset",
    path: "datasets",
    columns: &[("dataset", "/id"), ("title", "/title"), ("source", "/sourceText"), ("updated", "/updatedAt")],
};
const POLICIES: Kind = Kind {
    name: "policy",
    path: "policies",
    columns: &[("policy", "/id"), ("title", "/title"), ("terms", "/terms"), ("updated", "/updatedAt")],
};
const OFFERS: Kind = Kind {
    name: "offer",
    path: "offers",
    columns: &[
        ("offer", "/id"),
        ("dataset", "/datasetId"),
        ("policy", "/policyId"),
        ("seen by", "/accessPolicyId"),
        ("negotiation", "/negotiation"),
        ("transfer", "/transfer"),
    ],
};
const PARTNERS: Kind = Kind {
    name: "partner",
    path: "partners",
    columns: &[("partner", "/id"), ("name", "/name"), ("root", "/address/root"), ("base", "/address/base")],
};
const DATA_PLANES: Kind = Kind {
    name: "data plane",
    path: "data-planes",
    columns: &[
        ("data plane", "/id"),
        ("presence", "/presence"),
        ("since", "/presenceSince"),
        ("endpoint", "/endpoint"),
        ("dialect", "/dialect"),
        ("profiles", "/profiles"),
        ("labels", "/labels"),
    ],
};
const WEBHOOKS: Kind =
    Kind { name: "webhook", path: "webhooks", columns: &[("webhook", "/id"), ("url", "/url"), ("events", "/events")] };

/// `hansa dataset …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn datasets(client: &Client, print: Printer, command: DatasetCommand) -> Outcome {
    match command {
        DatasetCommand::Add(options) => {
            let replace = options.replace;
            DATASETS.add(client, print, dataset(&options)?, replace).await
        }
        DatasetCommand::List(many) => DATASETS.list(client, print, many.limit).await,
        DatasetCommand::Show(what) => DATASETS.show(client, print, &what.id).await,
        DatasetCommand::Remove(what) => DATASETS.remove(client, print, &what.id).await,
    }
}

/// `hansa policy …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn policies(client: &Client, print: Printer, command: PolicyCommand) -> Outcome {
    match command {
        PolicyCommand::Add(options) => POLICIES.add(client, print, new_policy(&options)?, options.replace).await,
        PolicyCommand::List(many) => POLICIES.list(client, print, many.limit).await,
        PolicyCommand::Show(what) => POLICIES.show(client, print, &what.id).await,
        PolicyCommand::Remove(what) => POLICIES.remove(client, print, &what.id).await,
        PolicyCommand::Explain(options) => policy_tools::explain(client, print, &options).await,
        PolicyCommand::Simulate(options) => policy_tools::simulate(client, print, &options).await,
        PolicyCommand::Diff(options) => policy_tools::diff(client, print, &options).await,
        // They need no control plane, and have been run before one is looked for.
        PolicyCommand::Check(_) | PolicyCommand::Eval(_) | PolicyCommand::Template { .. } => Ok(()),
    }
}

/// `hansa offer …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn offers(client: &Client, print: Printer, command: OfferCommand) -> Outcome {
    match command {
        OfferCommand::Add(options) => OFFERS.add(client, print, offer(&options), options.replace).await,
        OfferCommand::List(many) => OFFERS.list(client, print, many.limit).await,
        OfferCommand::Show(what) => OFFERS.show(client, print, &what.id).await,
        OfferCommand::Remove(what) => OFFERS.remove(client, print, &what.id).await,
    }
}

/// `hansa partner …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn partners(client: &Client, print: Printer, command: PartnerCommand) -> Outcome {
    match command {
        PartnerCommand::Add(options) => PARTNERS.add(client, print, new_partner(&options), options.replace).await,
        PartnerCommand::List(many) => PARTNERS.list(client, print, many.limit).await,
        PartnerCommand::Show(what) => {
            let id = partner::resolve(client, &what.id).await?;
            PARTNERS.show(client, print, &id).await
        }
        PartnerCommand::Remove(what) => {
            let id = partner::resolve(client, &what.id).await?;
            PARTNERS.remove(client, print, &id).await
        }
    }
}

/// `hansa data-plane …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn data_planes(client: &Client, print: Printer, command: DataPlaneCommand) -> Outcome {
    match command {
        DataPlaneCommand::Add(options) => {
            let plane = data_plane(&options)?;
            let shown = client.put(&[DATA_PLANES.path, &options.id], &Value::from(plane)).await?;
            print.done(&format!("data plane {} registered", options.id), &shown)
        }
        DataPlaneCommand::List(many) => DATA_PLANES.list(client, print, many.limit).await,
        DataPlaneCommand::Show(what) => DATA_PLANES.show(client, print, &what.id).await,
        DataPlaneCommand::Remove(what) => DATA_PLANES.remove(client, print, &what.id).await,
    }
}

/// `hansa webhook …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn webhooks(client: &Client, print: Printer, command: WebhookCommand) -> Outcome {
    match command {
        WebhookCommand::Add(options) => WEBHOOKS.add(client, print, webhook(&options)?, false).await,
        WebhookCommand::List(many) => WEBHOOKS.list(client, print, many.limit).await,
        WebhookCommand::Show(what) => WEBHOOKS.show(client, print, &what.id).await,
        WebhookCommand::Remove(what) => WEBHOOKS.remove(client, print, &what.id).await,
    }
}

impl Kind {
    async fn add(&self, client: &Client, print: Printer, body: Map<String, Value>, replace: bool) -> Outcome {
        let id = body.get("id").and_then(Value::as_str).map(str::to_owned);
        let body = Value::from(body);
        let (shown, what) = match (replace, id) {
            (true, Some(id)) => (client.put(&[self.path, &id], &body).await?, "saved"),
            (true, None) => {
                return Err(Failure::new(format!("a {} is replaced by its id, which is missing", self.name)));
            }
            (false, _) => (client.post(&[self.path], &body).await?, "added"),
        };
        print.done(&format!("{} {} {what}", self.name, text(&shown, "id")), &shown)
    }

    async fn list(&self, client: &Client, print: Printer, limit: usize) -> Outcome {
        let mut list = client.list(self.path, &[], limit).await?;
        if !print.json
            && let Some(Value::Array(items)) = list.get_mut("items")
        {
            items.iter_mut().for_each(complete);
        }
        print.list(&list, self.columns, &format!("there is no {} yet", self.name))
    }

    async fn show(&self, client: &Client, print: Printer, id: &str) -> Outcome {
        print.item(&client.get(&[self.path, id]).await?)
    }

    async fn remove(&self, client: &Client, print: Printer, id: &str) -> Outcome {
        client.delete(&[self.path, id]).await?;
        print.done(&format!("{} {id} removed", self.name), &json!({"removed": id}))
    }
}

/// Adds what a table shows and a thing does not have as such.
fn complete(item: &mut Value) {
    let terms = policy::summary(item);
    let source = item.get("source").map(source_text);
    if let Some(members) = item.as_object_mut() {
        members.insert("terms".to_owned(), Value::from(terms));
        members.extend(source.map(|source| ("sourceText".to_owned(), Value::from(source))));
    }
}

fn source_text(source: &Value) -> String {
    let at = |pointer: &str| source.pointer(pointer).and_then(Value::as_str);
    match (at("/http/baseUrl"), at("/files/root"), at("/files/path")) {
        (Some(url), ..) => url.to_owned(),
        (None, Some(root), path) => format!("{root}/{}", path.unwrap_or_default().trim_start_matches('/')),
        _ => source.to_string(),
    }
}

fn put_text(object: &mut Map<String, Value>, name: &str, text: Option<&String>) {
    if let Some(text) = text {
        object.insert(name.to_owned(), Value::from(text.as_str()));
    }
}

fn put_list(object: &mut Map<String, Value>, name: &str, list: &[String]) {
    if !list.is_empty() {
        object.insert(name.to_owned(), Value::from(list));
    }
}

fn dataset(options: &NewDataset) -> Outcome<Map<String, Value>> {
    if let Some(path) = &options.json_file {
        return read_object(path);
    }
    let source = match (&options.http, &options.file) {
        (Some(url), _) => {
            let mut http = Map::from_iter([("baseUrl".to_owned(), Value::from(url.as_str()))]);
            put_text(&mut http, "credential", options.credential.as_ref());
            json!({"http": http})
        }
        (None, Some(file)) => {
            let (root, path) = file.split_once('/').unwrap_or((file, ""));
            let mut files =
                Map::from_iter([("root".to_owned(), Value::from(root)), ("path".to_owned(), Value::from(path))]);
            if options.standing {
                files.insert("standing".to_owned(), true.into());
            }
            json!({"files": files})
        }
        (None, None) => return Err(Failure::new("where the data is must be said: --http or --file")),
    };
    let mut dataset = Map::new();
    put_text(&mut dataset, "id", options.id.as_ref());
    let title = options.title.as_ref().or(options.id.as_ref());
    put_text(&mut dataset, "title", title);
    put_text(&mut dataset, "description", options.description.as_ref());
    put_list(&mut dataset, "keywords", &options.keywords);
    if !options.part_of.is_empty() {
        let collections: Vec<Value> = options.part_of.iter().map(|iri| json!({"@id": iri})).collect();
        dataset.insert("properties".to_owned(), json!({"dct:isPartOf": collections}));
    }
    let formats: Vec<&str> = match options.formats.as_slice() {
        // A media type is said of a distribution: of the one that is there without options.
        [] if options.media_type.is_some() => vec![dataset::HTTP_PULL],
        formats => formats.iter().map(String::as_str).collect(),
    };
    if !formats.is_empty() {
        let distribution = |format: &&str| {
            let mut distribution = Map::from_iter([("format".to_owned(), Value::from(*format))]);
            put_text(&mut distribution, "mediaType", options.media_type.as_ref());
            Value::from(distribution)
        };
        dataset.insert("distributions".to_owned(), formats.iter().map(distribution).collect());
    }
    dataset.insert("source".to_owned(), source);
    if !options.paths.is_empty() {
        dataset.insert("admission".to_owned(), json!({"methods": ["GET", "HEAD"], "paths": options.paths}));
    }
    Ok(dataset)
}

fn new_policy(options: &NewPolicy) -> Outcome<Map<String, Value>> {
    match options.json_file.as_ref().or(options.file.as_ref()) {
        Some(path) => read_object(path),
        None => policy::from_options(options),
    }
}

fn offer(options: &NewOffer) -> Map<String, Value> {
    let mut offer = Map::new();
    put_text(&mut offer, "id", options.id.as_ref());
    put_text(&mut offer, "datasetId", Some(&options.dataset));
    put_text(&mut offer, "policyId", Some(&options.policy));
    put_text(&mut offer, "accessPolicyId", options.access_policy.as_ref());
    let decision = if options.manual { "manual" } else { "automatic" };
    offer.insert("negotiation".to_owned(), Value::from(decision));
    offer.insert("transfer".to_owned(), Value::from(decision));
    offer
}

fn new_partner(options: &NewPartner) -> Map<String, Value> {
    let mut address = Map::new();
    put_text(&mut address, "root", options.root.as_ref());
    put_text(&mut address, "base", options.base.as_ref());
    if options.base.is_some() {
        address.insert("version".to_owned(), Value::from("2025-1"));
    }
    let mut partner = Map::new();
    put_text(&mut partner, "id", Some(&options.id));
    put_text(&mut partner, "name", options.name.as_ref());
    partner.insert("address".to_owned(), Value::from(address));
    partner
}

fn data_plane(options: &NewDataPlane) -> Outcome<Map<String, Value>> {
    let mut plane = Map::new();
    put_text(&mut plane, "endpoint", Some(&options.endpoint));
    let profiles = if options.profiles.is_empty() { vec![HTTP_PULL.to_owned()] } else { options.profiles.clone() };
    put_list(&mut plane, "profiles", &profiles);
    put_text(&mut plane, "dialect", Some(&options.dialect));
    put_list(&mut plane, "labels", &options.labels);
    if let Some(path) = &options.authorization_file {
        let authorization = read_secret(path)?;
        plane.insert("authorization".to_owned(), Value::from(authorization.expose_secret()));
    }
    for (member, file) in [("oauth2", &options.oauth2_file), ("tokenExchange", &options.token_exchange_file)] {
        let Some(path) = file else { continue };
        let text = read_secret(path)?;
        let agreed: Value = serde_json::from_str(text.expose_secret())
            .map_err(|_error| Failure::new(format!("`{}` is no JSON", path.display())))?;
        plane.insert(member.to_owned(), agreed);
    }
    if options.danger_no_authorization {
        plane.insert("dangerNoAuthorization".to_owned(), Value::from(true));
    }
    Ok(plane)
}

fn webhook(options: &NewWebhook) -> Outcome<Map<String, Value>> {
    let mut webhook = Map::new();
    put_text(&mut webhook, "id", options.id.as_ref());
    put_text(&mut webhook, "url", Some(&options.receiver));
    put_list(&mut webhook, "events", &options.events);
    if let Some(path) = &options.secret_file {
        let secret = read_secret(path)?;
        webhook.insert("secret".to_owned(), Value::from(secret.expose_secret()));
    }
    Ok(webhook)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::arguments::{Arguments, Command};
    use super::*;

    fn typed(line: &str) -> Command {
        let words = std::iter::once("hansa").chain(line.split(' '));
        Arguments::try_parse_from(words).unwrap().command
    }

    #[test]
    fn datasets_from_options() {
        let body = |line: &str| match typed(line) {
            Command::Dataset { command: DatasetCommand::Add(options) } => Value::from(dataset(&options).unwrap()),
            _ => panic!("a dataset"),
        };
        assert_eq!(
            body(
                "dataset add --id urn:d --title Air --http http://broker:1026 --credential broker --path /ngsi-ld/v1/** --keyword air"
            ),
            json!({
                "id": "urn:d", "title": "Air", "keywords": ["air"],
                "source": {"http": {"baseUrl": "http://broker:1026", "credential": "broker"}},
                "admission": {"methods": ["GET", "HEAD"], "paths": ["/ngsi-ld/v1/**"]}
            })
        );
        assert_eq!(
            body("dataset add --id d --file open-data/2026/a.csv --format HttpData-PUSH"),
            json!({
                "id": "d", "title": "d", "distributions": [{"format": "HttpData-PUSH"}],
                "source": {"files": {"root": "open-data", "path": "2026/a.csv"}}
            })
        );
        let standing = body("dataset add --id d --file open-data/counts --standing");
        assert_eq!(standing["source"], json!({"files": {"root": "open-data", "path": "counts", "standing": true}}));
    }

    #[test]
    fn offers_partners_and_data_planes_from_options() {
        let Command::Offer { command: OfferCommand::Add(options) } = typed("offer add --dataset d --policy p --manual")
        else {
            panic!("an offer")
        };
        assert_eq!(
            Value::from(offer(&options)),
            json!({"datasetId": "d", "policyId": "p", "negotiation": "manual", "transfer": "manual"})
        );
        let Command::Partner { command: PartnerCommand::Add(options) } =
            typed("partner add did:web:x --base https://x/dsp")
        else {
            panic!("a partner")
        };
        assert_eq!(
            Value::from(new_partner(&options)),
            json!({"id": "did:web:x", "address": {"base": "https://x/dsp", "version": "2025-1"}})
        );
        let line = "data-plane add x --endpoint http://x --label a=b --danger-no-authorization";
        let Command::DataPlane { command: DataPlaneCommand::Add(options) } = typed(line) else { panic!("a plane") };
        assert_eq!(
            Value::from(data_plane(&options).unwrap()),
            json!({"endpoint": "http://x", "profiles": [HTTP_PULL], "dialect": "rc3", "labels": ["a=b"], "dangerNoAuthorization": true})
        );
    }

    #[test]
    fn lists_show_source_and_terms() {
        let mut item =
            json!({"source": {"files": {"root": "open", "path": "/a/b"}}, "permission": [{"action": "use"}]});
        complete(&mut item);
        assert_eq!((text(&item, "sourceText"), text(&item, "terms")), ("open/a/b", "use"));
        assert_eq!(source_text(&json!({"http": {"baseUrl": "http://b"}})), "http://b");
    }
}
