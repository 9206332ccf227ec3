//! A provider that does not exist: OpenAI-shaped, seeded, as slow and as faulty as asked.
