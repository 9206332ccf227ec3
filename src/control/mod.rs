//! What changes the snapshot: start, reload, shutdown.
