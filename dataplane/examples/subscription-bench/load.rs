//! Who subscribes, who notifies and who fetches.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::oneshot;

use crate::support::http::Connection;
use crate::support::plane::Flow;
use crate::{CONTEXT, SUBSCRIPTIONS};

/// Connections that subscriptions are made over, and that the broker notifies over.
const MAKERS: usize = 16;
const NOTIFIERS: usize = 64;
/// A worker that has not done its work by then is given up.
const LONGEST: Duration = Duration::from_secs(60);
/// Bytes of a notification.
const SIZE: usize = 1024;
/// Stands before the number that says when a notification was due.
const MARK: &[u8] = br#""no2":{"type":"Property","value":"#;

/// What comes when.
#[derive(Clone)]
pub struct Load {
    pub start: Instant,
    /// In a second.
    pub rate: usize,
    pub total: usize,
}

/// What has been fetched.
#[derive(Default)]
pub struct Received {
    pub count: AtomicUsize,
    /// Of each flow the last number of dropped ones, together.
    pub dropped: AtomicU64,
    /// Milliseconds from due to fetched.
    pub times: Mutex<Vec<f64>>,
}

/// A thread that lasts until it is stopped.
pub struct Worker {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn start<F: Future<Output = ()>>(name: &str, work: impl FnOnce() -> F + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel();
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // The CPU time of an ended thread can no longer be asked for.
                let _ = tokio::join!(tokio::time::timeout(LONGEST, work()), stopped);
            });
        };
        Self { stop, thread: std::thread::Builder::new().name(name.to_owned()).spawn(body).unwrap() }
    }

    pub fn stop(self) {
        let _ = self.stop.send(());
        self.thread.join().unwrap();
    }
}

/// CPU seconds of a thread of this program.
pub fn thread_cpu(name: &str) -> f64 {
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        if stat.contains(&format!("({name})")) {
            let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
            return (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0;
        }
    }
    0.0
}

/// Makes the subscriptions, in turn for each flow.
pub fn subscribe(port: u16, flows: &[Flow], count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let next = AtomicUsize::new(0);
    let making = (0..MAKERS).map(|_| async {
        let mut connection = Connection::open(port, None).await;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            let flow = &flows[number % flows.len()];
            let body = format!(
                r#"{{"type":"Subscription","entities":[{{"type":"Air","id":"urn:ngsi-ld:Air:{number}"}}],"notification":{{"endpoint":{{}}}}}}"#
            );
            let request = format!(
                "PUT {}{SUBSCRIPTIONS}/urn:ngsi-ld:Subscription:{number} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                flow.path,
                flow.token,
                body.len()
            );
            let head = connection.ask(request.as_bytes()).await;
            let text = connection.body(&head).await;
            assert_eq!(head.status, 204, "{}", String::from_utf8_lossy(&text));
        }
    });
    runtime.block_on(join_all(making));
}

/// Notifies as a broker does, each over one of some connections, at the moment at which it is due or as soon as one is free.
pub fn generate(port: u16, paths: Vec<String>, load: &Load) -> Worker {
    let load = load.clone();
    Worker::start("generator", move || async move {
        let next = AtomicUsize::new(0);
        let notifying = (0..NOTIFIERS).map(|_| async {
            let mut connection = Connection::open(port, None).await;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= load.total {
                    return;
                }
                let due = Duration::from_secs_f64(number as f64 / load.rate as f64);
                tokio::time::sleep_until((load.start + due).into()).await;
                let body = notification(number, due);
                let request = format!(
                    "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
                     Link: <{CONTEXT}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    paths[number % paths.len()],
                    body.len()
                );
                let head = connection.ask(request.as_bytes()).await;
                connection.skip(&head).await;
                assert_eq!(head.status, 200);
            }
        });
        join_all(notifying).await;
    })
}

fn notification(number: usize, due: Duration) -> String {
    let observed = r#""observedAt":"2026-11-21T12:00:00Z""#;
    let begin = format!(
        r#"{{"id":"urn:ngsi-ld:Notification:{number}","type":"Notification","subscriptionId":"urn:ngsi-ld:Subscription:{number}","notifiedAt":"2026-11-21T12:00:00Z","data":[{{"id":"urn:ngsi-ld:Air:{number}","type":"Air","no2":{{"type":"Property","value":{},"unitCode":"GQ",{observed}}},"pm10":{{"type":"Property","value":17.5,"unitCode":"GQ",{observed}}},"owner":{{"type":"Property","value":"Anna",{observed}}},"plate":{{"type":"Property","value":""#,
        due.as_micros()
    );
    let end = r#""}}]}"#;
    let rest = SIZE.saturating_sub(begin.len() + end.len());
    format!("{begin}{}{end}", "x".repeat(rest))
}

/// Fetches as the partners' data planes do: one request after the other for each flow.
pub fn receive(port: u16, flows: &[Flow], load: &Load, received: &Arc<Received>) -> Worker {
    let (flows, load, received) = (flows.to_vec(), load.clone(), Arc::clone(received));
    Worker::start("receiver", move || async move {
        let until = received.as_ref();
        join_all(flows.iter().map(|flow| fetch(port, flow, &load, until))).await;
    })
}

async fn fetch(port: u16, flow: &Flow, load: &Load, received: &Received) {
    let mut connection = Connection::open(port, None).await;
    let (mut after, mut dropped) = (0, 0);
    while received.count.load(Ordering::Relaxed) < load.total {
        let request = format!(
            "GET {}{SUBSCRIPTIONS}/notifications?after={after}&wait=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n\r\n",
            flow.path, flow.token
        );
        let head = connection.ask(request.as_bytes()).await;
        assert_eq!(head.status, 200);
        let body = connection.body(&head).await;
        let now = load.start.elapsed().as_secs_f64() * 1e3;
        let lost = numbers(&body, br#"{"dropped":"#).next().unwrap();
        received.dropped.fetch_add(lost - dropped, Ordering::Relaxed);
        dropped = lost;
        after = numbers(&body, br#"{"sequence":"#).last().unwrap_or(after);
        let times: Vec<f64> = numbers(&body, MARK).map(|due| now - due as f64 / 1e3).collect();
        received.count.fetch_add(times.len(), Ordering::Relaxed);
        received.times.lock().unwrap().extend(times);
    }
}

/// The numbers that stand behind a mark.
fn numbers<'a>(text: &'a [u8], mark: &'a [u8]) -> impl Iterator<Item = u64> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        let first = *mark.first()?;
        loop {
            let place = from + text[from..].iter().position(|byte| *byte == first)?;
            from = place + 1;
            if text[place..].starts_with(mark) {
                let digits = text[place + mark.len()..].iter().take_while(|byte| byte.is_ascii_digit());
                return Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')));
            }
        }
    })
}
