"""For the tests of clients: a running mock with its own account, a clock that follows their sleeps, and verdicts."""
