"""One AWS request in, one answer out: the rules and the judge, applied over an upstream that keeps the state."""
