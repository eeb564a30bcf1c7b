"""Coverage of behaviour: which of all that a client can do and meet at a provider was done and met."""
