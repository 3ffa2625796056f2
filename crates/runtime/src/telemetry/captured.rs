//! The log of a test as people see it, on the thread that started it.
//!
//! One subscriber for the process: those that come and go with a test race with the others' first use of a line.

use std::cell::RefCell;
use std::io;
use std::marker::PhantomData;
use std::sync::Once;

use tracing_subscriber::layer::SubscriberExt;

use super::{targets, text};

thread_local! {
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Everything that this thread logs while it lives.
pub struct Captured {
    /// It stays on its thread.
    _here: PhantomData<*const ()>,
}

impl Captured {
    /// Starts with the verbosity of an installation.
    ///
    /// # Panics
    /// Somebody else has started a log in this process.
    #[must_use]
    pub fn start() -> Self {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let layer = tracing_subscriber::fmt::layer()
                .fmt_fields(text::fields())
                .with_target(false)
                .without_time()
                .with_ansi(false)
                .with_writer(|| OfThisThread);
            let subscriber = tracing_subscriber::registry().with(targets(4)).with(layer);
            let first = tracing::subscriber::set_global_default(subscriber);
            assert!(first.is_ok(), "this process has another log already");
        });
        LINES.with_borrow_mut(|lines| *lines = Some(Vec::new()));
        Self { _here: PhantomData }
    }

    /// The lines so far, without leading spaces.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let bytes = LINES.with_borrow(|lines| lines.clone().unwrap_or_default());
        String::from_utf8_lossy(&bytes).lines().map(|line| line.trim_start().to_owned()).collect()
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        LINES.with_borrow_mut(|lines| *lines = None);
    }
}

struct OfThisThread;

impl io::Write for OfThisThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.iter_mut().for_each(|lines| lines.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
