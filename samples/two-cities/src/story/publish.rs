//! Both cities say what they share, and on which terms.

use super::Stage;
use crate::city::City;
use crate::fault::{Failed, Fault};
use crate::tell::Teller;
use crate::template;

/// Terms and datasets of the sample, by the name of their file.
const FILES: [(&str, &str); 6] = [
    ("partner-cities.policy.json", include_str!("../../offers/partner-cities.policy.json")),
    ("crisis-teams.policy.json", include_str!("../../offers/crisis-teams.policy.json")),
    ("traffic.json", include_str!("../../offers/traffic.json")),
    ("commuters.json", include_str!("../../offers/commuters.json")),
    ("flood-gauges.json", include_str!("../../offers/flood-gauges.json")),
    ("air-quality.json", include_str!("../../offers/air-quality.json")),
];

/// A dataset offered under a policy: file and id of both.
struct Offered {
    file: &'static str,
    dataset: &'static str,
    policy: &'static str,
}

/// Publishes on both sides.
pub(super) async fn both(stage: &Stage, tell: &Teller) -> Result<(), Failed> {
    let partners = "urn:policy:partner-cities";
    let arvenna = [
        Offered { file: "traffic.json", dataset: "urn:dataset:arvenna:traffic", policy: partners },
        Offered { file: "commuters.json", dataset: "urn:dataset:arvenna:commuters", policy: partners },
        Offered {
            file: "flood-gauges.json",
            dataset: "urn:dataset:arvenna:flood-gauges",
            policy: "urn:policy:crisis-teams",
        },
    ];
    let belmark = [Offered { file: "air-quality.json", dataset: "urn:dataset:belmark:air-quality", policy: partners }];
    let policies = ["partner-cities.policy.json", "crisis-teams.policy.json"];
    tell.step("Arvenna offers three datasets", publish(&stage.arvenna, tell, &policies, &arvenna)).await?;
    tell.step("Belmark offers one", publish(&stage.belmark, tell, policies.get(..1).unwrap_or_default(), &belmark))
        .await
}

async fn publish(city: &City, tell: &Teller, policies: &[&str], offered: &[Offered]) -> Result<(), Fault> {
    let source = city.source();
    for (name, content) in FILES {
        let used = policies.contains(&name) || offered.iter().any(|offered| offered.file == name);
        if used {
            template::write(&city.folder().join(name), content, &[("source", source.clone())])?;
        }
    }
    for file in policies {
        city.hansa().run(tell, &["policy", "add", file]).await?;
    }
    for Offered { file, dataset, policy } in offered {
        city.hansa().run(tell, &["dataset", "add", file]).await?;
        city.hansa().run(tell, &["offer", "add", "--dataset", dataset, "--policy", policy]).await?;
    }
    Ok(())
}
