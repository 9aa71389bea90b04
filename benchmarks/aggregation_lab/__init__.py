"""Parts of the aggregation study: hospitals in six scenarios, a small language model, federations without a screen, tables."""
