"""Text to syntax tree: hygiene and limits, layout, grammar, imports, formatter."""
