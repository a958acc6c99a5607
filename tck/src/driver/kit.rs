//! Runs the kit as a process of its own and reads its result lines.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::Plan;
use crate::{Context as _, Error, Result};

/// No run takes longer; each wait of the kit has a limit of its own.
const LIMIT: Duration = Duration::from_secs(900);

/// What a test came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Pass,
    /// It failed.
    Fail,
    /// The kit itself leaves it out.
    Skip,
}

/// Runs the tests of a kit, or of a part of it (`dcp/issuance.cs`), and prints the result of each, or with `verbose`
/// everything that the kit prints. Gives back the verdict on each test, by the kit's name for it.
pub(super) async fn run(plan: &Plan, kit: &str, settings: &Path) -> Result<Vec<(String, Verdict)>> {
    let verbose = plan.verbose;
    let mut child = Command::new(&plan.kit)
        .arg(kit)
        .arg(settings)
        .args(&plan.only)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(if verbose { Stdio::inherit() } else { Stdio::null() })
        .kill_on_drop(true)
        .spawn()
        .context(plan.kit.display())?;
    let output = child.stdout.take().context("no pipe to the kit")?;
    let read = async {
        let mut verdicts = Vec::new();
        let mut ended = false;
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await.context("the kit's output")? {
            if verbose || line.starts_with("TEST ") || line.starts_with("RESULT ") {
                println!("{line}");
            }
            verdicts.extend(verdict(&line));
            ended |= line.starts_with("RESULT ");
        }
        if ended {
            Ok(verdicts)
        } else {
            Err(Error::new("the kit ended before it told its result; `--verbose` shows why"))
        }
    };
    let verdicts = tokio::time::timeout(LIMIT, read).await.context("the kit did not end in time")??;
    child.wait().await.context("the kit")?;
    Ok(verdicts)
}

/// Reads `TEST PASS CN:01-01: what it is about`, or `TEST FAIL 6.2 Endpoint Discovery | why`.
fn verdict(line: &str) -> Option<(String, Verdict)> {
    let (verdict, name) = line.strip_prefix("TEST ")?.split_once(' ')?;
    let verdict = match verdict {
        "PASS" => Verdict::Pass,
        "SKIP" => Verdict::Skip,
        _ => Verdict::Fail,
    };
    let name = name.split(" | ").next().unwrap_or(name);
    let id = name.split(": ").next().unwrap_or(name);
    Some((id.to_owned(), verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_read() {
        let read = |line| verdict(line).map(|(id, verdict)| format!("{id} {verdict:?}"));
        assert_eq!(read("TEST PASS CN:01-01: Verify something").as_deref(), Some("CN:01-01 Pass"));
        assert_eq!(read("TEST FAIL TP_C:03-01: Verify | AssertionError: x").as_deref(), Some("TP_C:03-01 Fail"));
        assert_eq!(read("TEST SKIP TP:02-04: Verify | is @Disabled").as_deref(), Some("TP:02-04 Skip"));
        assert_eq!(
            read("TEST SKIP 5.4.1.2 Verify a request | is @Disabled").as_deref(),
            Some("5.4.1.2 Verify a request Skip")
        );
        assert_eq!(read("RESULT found=67"), None);
    }
}
