//! An offer whose policy does not admit the caller.

use super::Stage;
use crate::fault::{Failed, Fault};
use crate::tell::Teller;

/// Belmark asks for the flood gauges, which are for crisis teams only.
pub(super) async fn negotiation(stage: &Stage, tell: &Teller) -> Result<(), Failed> {
    tell.step("Belmark asks for the flood gauges, whose terms do not admit it", async {
        let gauges = ["negotiate", "arvenna", "urn:dataset:arvenna:flood-gauges"];
        match stage.belmark.hansa().attempt(tell, &gauges).await? {
            Err(refused) => {
                refused.sentence.lines().for_each(|line| tell.refusal(line));
                if !refused.sentence.contains("role") || !refused.sentence.contains("crisis-team") {
                    return Err(Fault::new("the refusal does not name the rule on `role`"));
                }
                if !refused.sentence.contains("traffic-planning") {
                    return Err(Fault::new("the refusal does not name the fact `traffic-planning`"));
                }
                Ok(())
            }
            Ok(agreed) => Err(Fault::new(format!("the negotiation was not refused: {agreed}"))),
        }
    })
    .await
}
