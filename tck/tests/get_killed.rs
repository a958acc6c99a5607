//! `hansa get` is killed in the middle of a large file, again and again: it goes on where it was, and nothing that is not whole ever
//! has the file's name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tck::binaries::Binaries;
use tck::pair::{FILES, PROVIDER, Pair};

const MIB: u64 = 1024 * 1024;
const SIZE: u64 = 48 * MIB;
/// So that there is a middle to be killed in.
const BYTES_PER_SECOND: u64 = 12 * MIB;
const PATIENCE: Duration = Duration::from_secs(120);

fn get(pair: &Pair, token: &Path, output: &Path) -> Command {
    let mut command = Command::new(Binaries::from_environment().unwrap().control_plane());
    command.args(["get", PROVIDER, "large", "--path", "large.bin", "--json", "-o"]).arg(output);
    command.args(["--url", &pair.consumer.control.management(), "--token-file"]).arg(token);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

/// Waits until the part has reached this length, and never sees it shorter than it was.
fn grow(child: &mut Child, part: &Path, output: &Path, before: u64, wanted: u64) {
    let begun = Instant::now();
    while length(part) < wanted {
        assert!(length(part) >= before, "what was there is taken up, not thrown away");
        assert!(!output.exists(), "a part does not have the file's name");
        assert!(child.try_wait().unwrap().is_none(), "it has ended early");
        assert!(begun.elapsed() < PATIENCE, "{} of {wanted} bytes", length(part));
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_download_goes_on_where_it_was() {
    let pair = Pair::start().await.unwrap();
    let mut bytes = vec![0_u8; usize::try_from(SIZE).unwrap()];
    rand::fill(&mut bytes[..]);
    pair.put_file("large.bin", &bytes).unwrap();
    let dataset = json!({"id": "large", "title": "a large file", "source": {"files": {"root": FILES, "path": ""}},
        "limits": {"bytesPerSecond": BYTES_PER_SECOND}});
    pair.publish_dataset(&dataset, &json!([{"action": "use"}]), &json!({})).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let (output, part) = (folder.path().join("large.bin"), folder.path().join("large.bin.part"));
    let token = pair.consumer.data.folder().parent().unwrap().join("control/management.token");
    let mut before = 0;
    for kill in 1..=3_u64 {
        let mut child = get(&pair, &token, &output).spawn().unwrap();
        grow(&mut child, &part, &output, before, kill * SIZE / 4);
        // SIGKILL: nothing is tidied up.
        child.kill().unwrap();
        child.wait().unwrap();
        let now = length(&part);
        assert!(now > before && now < SIZE, "{before} {now}");
        assert!(!output.exists());
        let there = std::fs::read(&part).unwrap();
        assert!(there == bytes[..there.len()], "the part is the beginning of the file");
        before = now;
    }
    let mut last = get(&pair, &token, &output).spawn().unwrap();
    grow(&mut last, &part, &output, before, before + 1);
    let ended = last.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let told: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let hash = hex::encode(Sha256::digest(&bytes));
    assert_eq!((told["bytes"].as_u64(), told["sha256"].as_str()), (Some(SIZE), Some(hash.as_str())), "{told}");
    assert_eq!(told["verified"], true, "its SHA-256 is as announced");
    assert!(std::fs::read(&output).unwrap() == bytes);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["large.bin"], "nothing else is left");

    // Another version of the file in the meantime: the part of the old one is not continued.
    let mut child = get(&pair, &token, &folder.path().join("again.bin")).spawn().unwrap();
    let (again, part) = (folder.path().join("again.bin"), folder.path().join("again.bin.part"));
    grow(&mut child, &part, &again, 0, SIZE / 4);
    child.kill().unwrap();
    child.wait().unwrap();
    bytes.truncate(usize::try_from(SIZE / 2).unwrap());
    rand::fill(&mut bytes[..]);
    pair.put_file("large.bin", &bytes).unwrap();
    let ended = get(&pair, &token, &again).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(std::fs::read(&again).unwrap() == bytes, "the new version, and nothing of the old one");
}
