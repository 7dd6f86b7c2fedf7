//! A failure that is expected, or one of many: what it says is kept and not printed.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// What the last failure said, while this thread wants it kept.
    static KEPT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs something to its end or its failure; what that said, and where it was.
pub fn failure(body: impl FnOnce()) -> Option<String> {
    static ONCE: Once = Once::new();
    ONCE.call_once(keep_where_wanted);
    let outer = KEPT.replace(Some(String::new()));
    let outcome = catch_unwind(AssertUnwindSafe(body));
    let said = KEPT.replace(outer);
    outcome.err().map(|_| said.unwrap_or_default())
}

/// All other threads print their failures as before.
fn keep_where_wanted() {
    let print = take_hook();
    set_hook(Box::new(move |info| {
        let is_kept = KEPT
            .with_borrow_mut(|kept| kept.as_mut().map(|text| *text = info.to_string()).is_some());
        if !is_kept {
            print(info);
        }
    }));
}
