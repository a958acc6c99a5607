//! One proxy under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio_rustls::TlsConnector;

use crate::support::http::{Connection, get};
use crate::support::{process, quantile};

/// Bytes of a small answer.
pub const SMALL: usize = 2048;
/// Bytes of a large one.
pub const LARGE: u64 = 1 << 30;
const CONNECTIONS: usize = 64;
const REQUESTS: usize = 40_000;
/// A reader of an open stream takes some bytes and pauses.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub struct Measured {
    pub micros: Vec<f64>,
    pub rates: Vec<f64>,
    pub p50: Vec<f64>,
    pub p99: Vec<f64>,
    pub seconds: Vec<f64>,
    pub speeds: Vec<f64>,
    /// MiB with 64 streams, with more, and with more of a larger file.
    pub resident: f64,
    pub more_resident: f64,
    pub huge_resident: f64,
}

impl Measured {
    pub fn add(&mut self, small: Small, large: Option<Large>) {
        self.micros.push(small.micros);
        self.rates.push(small.rate);
        self.p50.push(small.p50);
        self.p99.push(small.p99);
        if let Some(large) = large {
            self.seconds.push(large.seconds);
            self.speeds.push(large.speed);
        }
    }
}

pub struct Subject {
    pub name: &'static str,
    pub port: u16,
    pub pids: Vec<u32>,
    pub prefix: String,
    pub token: Option<String>,
    pub tls: Option<TlsConnector>,
}

pub struct Small {
    micros: f64,
    rate: f64,
    p50: f64,
    p99: f64,
}

pub struct Large {
    seconds: f64,
    speed: f64,
}

impl Subject {
    fn request(&self, path: &str) -> Vec<u8> {
        get(&format!("{}{path}", self.prefix), self.token.as_deref())
    }

    async fn connect(&self) -> Connection {
        Connection::open(self.port, self.tls.as_ref()).await
    }

    /// Small answers over 64 connections, each of which asks again as soon as it was answered.
    pub async fn small(&self) -> Small {
        let request = self.request("/small");
        let mut connections = join_all((0..CONNECTIONS).map(|_| self.connect())).await;
        let before = process::cpu(&self.pids);
        let begin = Instant::now();
        let asking = connections.iter_mut().map(|connection| {
            let request = &request;
            async move {
                let mut times = Vec::with_capacity(REQUESTS / CONNECTIONS);
                for _ in 0..REQUESTS / CONNECTIONS {
                    let begin = Instant::now();
                    let head = connection.ask(request).await;
                    assert_eq!((head.status, head.length), (200, SMALL as u64));
                    connection.skip(&head).await;
                    times.push(begin.elapsed().as_secs_f64() * 1e3);
                }
                times
            }
        });
        let mut times: Vec<f64> = join_all(asking).await.into_iter().flatten().collect();
        let elapsed = begin.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        let micros = (process::cpu(&self.pids) - before) * 1e6 / REQUESTS as f64;
        let (p50, p99) = (quantile(&times, 0.5), quantile(&times, 0.99));
        println!("{}: {micros:.1} us CPU per request, {p50:.2} ms, 99th percentile {p99:.2} ms", self.name);
        Small { micros, rate: REQUESTS as f64 / elapsed, p50, p99 }
    }

    pub async fn large(&self) -> Large {
        let mut connection = self.connect().await;
        let before = process::cpu(&self.pids);
        let begin = Instant::now();
        let head = connection.ask(&self.request("/large")).await;
        assert_eq!((head.status, head.length), (200, LARGE));
        connection.skip(&head).await;
        let elapsed = begin.elapsed().as_secs_f64();
        let seconds = process::cpu(&self.pids) - before;
        println!("{}: {seconds:.2} s CPU per GiB", self.name);
        Large { seconds, speed: 1.0 / elapsed }
    }

    /// The largest resident memory, in MiB, while so many streams move slowly.
    pub async fn open_streams(&self, path: &str, count: usize) -> f64 {
        let stop = Arc::new(AtomicBool::new(false));
        let readers = (0..count).map(|_| async {
            let mut connection = self.connect().await;
            let head = connection.ask(&self.request(path)).await;
            assert_eq!(head.status, 200);
            while !stop.load(Ordering::Relaxed) {
                connection.some().await;
                tokio::time::sleep(PAUSE).await;
            }
        });
        let watching = async {
            let mut most = 0.0_f64;
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                most = most.max(process::resident(&self.pids));
            }
            stop.store(true, Ordering::Relaxed);
            most
        };
        let (most, _) = tokio::join!(watching, join_all(readers));
        most
    }
}
