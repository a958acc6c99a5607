//! The end of the story: what was received, and what to try.

use std::time::Duration;

use super::{Received, Stage};
use crate::tell::{Teller, seconds, size};

/// What was received, and how long each step took.
pub(super) fn summary(tell: &Teller, received: &[Received], took: Duration) {
    println!();
    tell.heading("What was received");
    for Received { city, what, bytes, took } in received {
        let took = if took.is_zero() { String::new() } else { format!(" in {}", seconds(*took)) };
        println!("{city:<8} {:>12}  {what}{took}", size(*bytes));
    }
    let bytes = received.iter().map(|one| one.bytes).sum();
    println!("{:<8} {:>12}  in {} deliveries", "together", size(bytes), received.len());
    println!();
    tell.heading("How long it took");
    for (title, took) in tell.steps() {
        println!("{:>9}  {title}", seconds(took));
    }
    println!("{:>9}  in all", seconds(took));
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
    for city in [arvenna, belmark] {
        println!("  # the command line of {}", city.name);
        println!("  cd {}", city.folder.display());
        println!("  {} status", city.hansa.typed());
        println!("  {} events\n", city.hansa.typed());
    }
    println!("  # Arvenna ends the transfer; Belmark's next read is refused");
    println!("  {} transfer list", arvenna.hansa.typed());
    println!("  {} transfer show {transfer}\n", belmark.hansa.typed());
    println!("  # the management API of Arvenna, to browse");
    println!("  {}/api/docs/   (token: {})\n", arvenna.hansa.url, arvenna.hansa.token_file.display());
    println!("Ctrl-C ends it.");
}
