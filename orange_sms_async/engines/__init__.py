"""Who carries a request over HTTP: one module a library."""
