//! One period in which a flow may move data, and the connections that move it.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::fairness::Place;

/// A second handle on a client's socket, only used to close it.
#[derive(Debug)]
pub(crate) struct Connection(TcpStream);

impl Connection {
    /// Takes a duplicate of the socket.
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self(socket)
    }

    /// Closes both directions at once: a reader sees its stream break off, even when it was not reading.
    fn cut(&self) {
        // The peer may have gone already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// A period from STARTED (or PREPARED, for what is pushed to us) to the next signal that ends it.
///
/// Every stream enters before its first byte. Cutting the run refuses further entries, closes the sockets of all streams that
/// are in, and makes their bodies fail, so that no reader takes the end for a regular one.
#[derive(Debug, Default)]
pub(crate) struct Run {
    over: AtomicBool,
    ended: CancellationToken,
    streams: Mutex<Streams>,
}

#[derive(Debug, Default)]
struct Streams {
    next: u64,
    open: HashMap<u64, Option<Arc<Connection>>>,
}

impl Run {
    /// Whether the run was cut.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Resolves when the run is cut.
    pub(crate) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Whether any stream is in.
    pub(crate) fn is_busy(&self) -> bool {
        !self.streams().open.is_empty()
    }

    /// Lets a stream in, unless `most` are in already.
    ///
    /// # Errors
    /// [`NoEntry`] when the run is over or full.
    pub(crate) fn enter(
        self: &Arc<Self>,
        connection: Option<Arc<Connection>>,
        most: Option<NonZeroU32>,
    ) -> Result<Ticket, NoEntry> {
        let mut streams = self.streams();
        if self.is_over() {
            return Err(NoEntry::Over);
        }
        if most.is_some_and(|most| streams.open.len() >= most.get() as usize) {
            return Err(NoEntry::Full);
        }
        let number = streams.next;
        streams.next += 1;
        streams.open.insert(number, connection);
        drop(streams);
        Ok(Ticket { run: Arc::clone(self), number, place: None })
    }

    /// Ends the run: nobody gets in, whoever is in is thrown out.
    pub(crate) fn cut(&self) {
        let open = {
            let mut streams = self.streams();
            self.over.store(true, Ordering::Release);
            std::mem::take(&mut streams.open)
        };
        self.ended.cancel();
        for connection in open.into_values().flatten() {
            connection.cut();
        }
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a stream is not let into a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoEntry {
    /// The run has ended.
    Over,
    /// As many streams are in as may be.
    Full,
}

/// Proof that a stream is part of a run; leaving is dropping it.
#[derive(Debug)]
pub(crate) struct Ticket {
    run: Arc<Run>,
    number: u64,
    /// The place among the requests of all partners, where those are counted.
    place: Option<Place>,
}

impl Ticket {
    /// Holds a place as long as the stream is in.
    pub(crate) fn hold(&mut self, place: Option<Place>) {
        self.place = place;
    }

    /// Whether the run was cut.
    pub(crate) fn is_over(&self) -> bool {
        self.run.is_over()
    }

    /// Resolves when the run is cut.
    pub(crate) fn ended(&self) -> CancellationToken {
        self.run.ended()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.run.streams().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_cut_run_lets_nobody_in_and_closes_who_is_in() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let run = Arc::new(Run::default());
        let ticket = run.enter(Some(Arc::new(Connection::new(server.try_clone().unwrap()))), None).unwrap();
        assert!(run.is_busy() && !ticket.is_over());
        run.cut();
        assert!(ticket.is_over() && ticket.ended().is_cancelled());
        assert_eq!(run.enter(None, None).err(), Some(NoEntry::Over));
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0, "the socket is shut while `server` is still open");
    }

    #[test]
    fn leaving_is_dropping() {
        let run = Arc::new(Run::default());
        let two = NonZeroU32::new(2);
        let first = run.enter(None, two).unwrap();
        let second = run.enter(None, two).unwrap();
        assert_eq!(run.enter(None, two).err(), Some(NoEntry::Full));
        drop(first);
        drop(run.enter(None, two).unwrap());
        assert!(run.is_busy());
        drop(second);
        assert!(!run.is_busy());
    }
}
