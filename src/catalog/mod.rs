//! Which providers exist, and where: data, embedded.
