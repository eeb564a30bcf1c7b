"""The phases of the suite: each makes probes of one sort, and the messages and pictures that these send."""
