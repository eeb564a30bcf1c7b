"""The contract kit: asks the core about any target."""
