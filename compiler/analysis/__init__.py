"""Step graph to verdict: components, classes, modes, streaming, cost. Entry points: `analyse.analyse`, `report.report`."""
