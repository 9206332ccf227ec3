//! Whole markets in virtual time: what the decision comes to in money, beside how others choose and beside the least
//! that anybody could have paid.
//!
//! `cargo test --release --test market -- --ignored --nocapture table` prints, scenario by scenario, what everybody paid.
//! `… --nocapture bounds` computes the bounds anew that `bounds.txt` holds, and `… --nocapture variation` runs each
//! scenario over twenty seeds that nothing was tuned on.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::panic,
    reason = "a test may fail by panicking, and its figures stay small"
)]

mod bound;
mod gate;
mod ours;
mod rivals;
mod run;
mod scenarios;
mod tables;
mod world;
