"""The panels of the Benchmark screen: one file a suite, the headlines above them, and the benchmark in progress."""
