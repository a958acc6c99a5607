//! One battery of tests for both databases: every case runs on SQLite and on a real PostgreSQL.
//!
//! PostgreSQL comes from `scripts/with-postgres.sh cargo test …`, which sets `HANSA_TEST_POSTGRES_URL`.

use sea_orm::{ConnectionTrait as _, Database};
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;

/// A new, empty database.
struct Fixture {
    url: String,
    /// The file's folder, for SQLite.
    _folder: Option<tempfile::TempDir>,
}

impl Fixture {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { url: format!("sqlite://{}/test.db", folder.path().display()), _folder: Some(folder) }
    }

    async fn postgres() -> Self {
        let server = std::env::var("HANSA_TEST_POSTGRES_URL")
            .expect("HANSA_TEST_POSTGRES_URL is not set: run this by scripts/with-postgres.sh");
        let name = format!("hansa_{}", uuid::Uuid::new_v4().simple());
        let admin = Database::connect(&server).await.unwrap();
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        admin.close().await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        Self { url: format!("{base}/{name}"), _folder: None }
    }

    async fn open(&self, owner: &str) -> (Store, UnboundedReceiver<Step>) {
        let opened = Store::open(&self.url, owner).await.unwrap();
        secrets::default_context(&opened.0, "urn:test").await.unwrap();
        opened
    }
}

macro_rules! battery {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $case() { super::$case(super::Fixture::sqlite().await).await; })+
        }
        mod postgres {
            $(#[tokio::test] async fn $case() { super::$case(super::Fixture::postgres().await).await; })+
        }
    };
}

mod leasing;
mod lists;
mod once;
mod planes;
mod registered;
mod terms;
mod units;
mod usages;

fn negotiation_row(id: &str, peer_pid: Option<&str>, owed: bool) -> negotiation::Model {
    negotiation::Model {
        counter_pid: peer_pid.map(str::to_owned),
        settled: Some("REQUESTED".to_owned()),
        owed: owed.then(|| "Agreement".to_owned()),
        owed_id: owed.then(|| format!("urn:owed:{id}")),
        state: "REQUESTED".to_owned(),
        dataset_id: "d".to_owned(),
        offer_id: "o".to_owned(),
        offer: "{}".to_owned(),
        ..negotiation::Model::blank(DEFAULT_CONTEXT, "provider", id.to_owned(), "urn:peer", "http://peer")
    }
}

async fn insert(store: &Store, row: negotiation::Model) -> StoreResult<negotiation::Model> {
    store.write(move |unit| Box::pin(async move { processes::insert(unit, row).await })).await
}

async fn found(store: &Store, id: &str) -> Option<negotiation::Model> {
    processes::find(store.reads(), DEFAULT_CONTEXT, id).await.unwrap()
}
