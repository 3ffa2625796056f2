//! Panics of the code under test. A reconcile that panics is caught by its controller and tried again; here it is a
//! broken promise.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

static HOOK: Once = Once::new();

thread_local! {
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Forgets what this thread has seen, and takes note from now on.
pub(crate) fn forget() {
    HOOK.call_once(|| {
        panic::set_hook(Box::new(|info| {
            FIRST.with_borrow_mut(|first| {
                first.get_or_insert_with(|| info.to_string());
            });
        }));
    });
    FIRST.take();
}

/// The first panic on this thread.
pub(crate) fn first() -> Option<String> {
    FIRST.with_borrow(Clone::clone)
}
