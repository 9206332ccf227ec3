//! What outlives a request: the snapshot and the cells it points to.
