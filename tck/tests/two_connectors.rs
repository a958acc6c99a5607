//! Two installations from end to end, on SQLite and on PostgreSQL. Whatever either control plane sends is held against
//! the published schemas.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod story;

use std::collections::BTreeSet;

use tck::management::text;
use tck::pair::Pair;
use tck::postgres::Postgres;
use tck::recorder::Recorder;
use tck::schemas::{self, Schemas};

/// Everything that was said is valid; gives back which types of message it was.
fn assert_valid(pair: &Pair) -> BTreeSet<String> {
    let schemas = Schemas::published().unwrap();
    let exchanges: Vec<_> = pair.recorders().iter().flat_map(Recorder::exchanges).collect();
    let messages = schemas::messages(&exchanges);
    assert!(!messages.is_empty(), "the recorders saw nothing");
    let faults = schemas.faults_of(&messages);
    assert!(faults.is_empty(), "messages that are not valid:\n{}", faults.join("\n"));
    messages.iter().map(|message| text(message, "@type").to_owned()).collect()
}

/// Every part of the story as a test of its own, on SQLite.
macro_rules! on_sqlite {
    ($($part:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $part() {
            let pair = Pair::start().await.unwrap();
            story::$part(&pair).await;
            assert_valid(&pair);
        })*

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn the_whole_story_on_postgresql() {
            let server = Postgres::start().unwrap();
            let databases = ["provider", "consumer"].map(|name| Some(server.database(name).unwrap()));
            let pair = Pair::start_on(databases).await.unwrap();
            $(story::$part(&pair).await;)*
            let said = assert_valid(&pair);
            let missing: Vec<_> =
                Schemas::published().unwrap().kinds().into_iter().filter(|&kind| !said.contains(kind)).collect();
            assert!(missing.is_empty(), "the story leaves out {missing:?}");
        }
    };
}

on_sqlite! {
    a_long_catalog_comes_in_pages
    a_catalog_shows_what_the_caller_may_see
    an_agreement_is_reached_and_kept_on_both_sides
    a_counter_offer_is_agreed_on
    the_provider_makes_the_first_offer
    a_refusal_names_rule_and_fact
    a_repeated_request_finds_the_same_process
    a_declared_purpose_is_held_to
    http_data_flows_until_the_transfer_ends
    pauses_in_quick_succession_leave_the_flow_as_the_last_one_says
    a_file_arrives_whole_and_in_parts
    a_transfer_without_an_agreement_is_refused
}
