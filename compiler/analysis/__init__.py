"""Step graph to verdict: components, classes, legal modes, streaming, cost. Entry points: `analyse.analyse`, `report.report`."""
