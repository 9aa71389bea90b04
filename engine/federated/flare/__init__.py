"""The same run with one machine per hospital, carried by NVIDIA FLARE: mutual TLS, a kit per site, one job per run."""
