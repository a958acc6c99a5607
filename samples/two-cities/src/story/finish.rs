//! The end of the story: what was received, and what to try.

use std::time::Duration;

use super::{Received, Stage};
use crate::tell::{Teller, seconds, size};

/// What was received, how long each step took, and how soon a revocation stopped the data.
pub(super) fn summary(tell: &Teller, received: &[Received], stopped: Option<Duration>, took: Duration) {
    println!();
    tell.heading("What was received");
    for Received { city, what, bytes, took } in received {
        println!("{city:<8} {:>12}  {what}, in {}", size(*bytes), seconds(*took));
    }
    let bytes = received.iter().map(|one| one.bytes).sum();
    println!("{:<8} {:>12}  in {} deliveries", "together", size(bytes), received.len());
    println!();
    tell.heading("How long it took");
    for (title, took) in tell.steps() {
        println!("{:>9}  {title}", seconds(took));
    }
    println!("{:>9}  in all", seconds(took));
    if let Some(stopped) = stopped {
        println!("\nFrom the revocation of the membership to the end of the data: {}.", seconds(stopped));
    }
}

/// Prints what to try while everything is left running.
pub fn what_to_try(stage: &Stage, transfer: &str) {
    let (arvenna, belmark) = (&stage.arvenna, &stage.belmark);
    println!("\nEverything is left running. Try, in another terminal:\n");
    println!("  # live data of Arvenna, read in Belmark");
    println!(
        "  curl -G {}/ngsi-ld/v1/entities -d type=TrafficFlowObserved -d options=keyValues -d limit=3 --data-urlencode 'q=intensity>100'\n",
        belmark.local()
    );
    println!(
        "  # the command line of Belmark (for Arvenna: cd {}, HANSA_URL={})",
        arvenna.folder().display(),
        arvenna.hansa().url
    );
    println!("  cd {}", belmark.folder().display());
    println!("  export HANSA_URL={} PATH={}:$PATH", belmark.hansa().url, programs(&belmark.hansa().program));
    println!("  hansa status");
    println!("  hansa catalog arvenna");
    println!("  hansa credential list");
    println!("  hansa doctor arvenna");
    println!("  hansa transfer show {transfer}");
    println!("  hansa transfer suspend {transfer}      # then read again; `resume` lets it go on");
    println!("  hansa events\n");
    println!("  # the management API of Arvenna, to browse; its token is in {}", arvenna.hansa().token_file.display());
    println!("  {}/api/docs/\n", arvenna.hansa().url);
    let authority = &stage.authority.control;
    println!(
        "  # what the story leaves out here: the authority revokes Belmark's membership, and Arvenna suspends the transfer"
    );
    println!("  cd {}", authority.folder.display());
    println!("  export HANSA_URL={}", authority.hansa.url);
    println!("  hansa issuance issued --holder {}", belmark.control.did);
    println!("  hansa credential revoke ID --reason 'left the River Region'      # the ID is in the list\n");
    println!("Ctrl-C ends it.");
}

fn programs(hansa: &std::path::Path) -> String {
    hansa.parent().map(|folder| folder.display().to_string()).unwrap_or_default()
}
