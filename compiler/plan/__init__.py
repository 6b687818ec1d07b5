"""Verdict to plan: which mode runs for each component, and why. Entry point: `choose_scan.choose`."""
