"""What runs of several methods on one stream say together: means, spreads, differences, gaps closed."""
