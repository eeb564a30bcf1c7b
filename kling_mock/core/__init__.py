"""The pure core: documents in, judgements and decisions out. No clock, disk, network, randomness or threads."""
