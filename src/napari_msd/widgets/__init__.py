"""Everything that only draws with Qt: panel, class list, plots, texts."""
