"""What a result looks like. Knows no network."""
