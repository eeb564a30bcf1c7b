"""The shell around the core: HTTP, time, storage, files."""
